/** pare finetune as a user calls it: a cut model gets better, and a killed run goes on. */
import { existsSync, readdirSync, watch } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digits, documentOf, hashOf, makeFolder, pare, startPare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);
const data = [...digits.slice(0, 4), '--threads', '1', '--batch-size', '32'];

/** Half of the MACs are gone, at random, and nothing was repaired. */
beforeAll(async () => {
  const cut = ['--method', 'structured', '--macs', '50%', '--criterion', 'random'];
  const { code } = await pare(['prune', 'digits.onnx', ...cut, '-o', 'cut.onnx'], folder.path);
  expect(code).toBe(0);
}, 60_000);

test('two epochs bring the accuracy of a cut model back', async () => {
  const flags = ['--teacher', 'digits.onnx', ...data, '--epochs', '2', '-o', 'tuned.onnx'];
  const student = hashOf(folder.file('cut.onnx'));
  const result = await pare(['finetune', 'cut.onnx', ...flags, '--json'], folder.path);
  expect(result.stderr).toContain('1,440 samples train, 200 choose the epoch, 360 evaluate');
  expect(result.code).toBe(0);
  const { evaluations, training, written } = documentOf(result);
  const [original, before, after] = evaluations.map(
    (each: { classification: { top1: { share: number } } }) => each.classification.top1.share,
  );
  expect(before).toBeLessThan(original - 0.05);
  expect(after).toBeGreaterThan((before + original) / 2);
  expect(training).toMatchObject({ losses: ['distillation'], scoreName: 'top-1', steps: 90 });
  expect(written).toEqual([folder.file('tuned.onnx')]);
  expect(existsSync(folder.file('tuned.onnx.checkpoint'))).toBe(false);
  expect(hashOf(folder.file('cut.onnx'))).toBe(student);
}, 60_000);

test.runIf(process.platform !== 'win32')(
  'a killed run goes on with --resume and ends with the same bytes',
  async () => {
    const call = (name: string) => {
      const more = ['--epochs', '4', '--checkpoint-every', '5', '--averaging', '0.9'];
      return ['finetune', 'cut.onnx', ...data, ...more, '--shift', '1', '-o', name];
    };
    const { child, result } = startPare(call('killed.onnx'), folder.path);
    const watcher = watch(folder.path, (_, name) => {
      if (name === 'killed.onnx.checkpoint') child.kill('SIGKILL');
    });
    expect((await result).code).toBe(null);
    watcher.close();
    expect(readdirSync(folder.path)).toContain('killed.onnx.checkpoint');
    expect(readdirSync(folder.path)).not.toContain('killed.onnx');

    const again = await pare(call('killed.onnx'), folder.path);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('--resume goes on')]);
    const other = await pare([...call('killed.onnx'), '--resume', '--lr', '1'], folder.path);
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('of another run')]);

    const resumed = await pare([...call('killed.onnx'), '--resume', '--json'], folder.path);
    expect(documentOf(resumed).training.resumedAt).toBeGreaterThan(0);
    expect((await pare(call('whole.onnx'), folder.path)).code).toBe(0);
    expect(hashOf(folder.file('killed.onnx'))).toBe(hashOf(folder.file('whole.onnx')));
    expect(readdirSync(folder.path).filter((name) => name.includes('checkpoint'))).toEqual([]);
  },
  60_000,
);

test('--qat writes the file of the static scheme with numbers that were trained', async () => {
  const format = ['--weights', 'int4', '--activations', 'int8'];
  const flags = [...data, '--epochs', '1', '--qat', ...format, '-o', 'digits.qat.onnx', '--json'];
  const result = await pare(
    ['finetune', 'digits.onnx', '--teacher', 'digits.onnx', ...flags],
    folder.path,
  );
  expect(result.stderr).toContain('weights learned in integers, all of them from their floats on');
  expect(result.stderr).toContain('the file computes what was trained bit for bit');
  const { training, evaluations } = documentOf(result);
  expect(training.quantization.agreement.asWritten.outputs[0].agreement.exact).toBe(true);
  expect(evaluations.map(({ model }: { model: string }) => model)).toEqual([
    'original',
    'student',
    'result',
  ]);
  // A quantized student needs no flag, and takes none.
  const again = (...more: string[]) =>
    pare(['finetune', 'digits.qat.onnx', ...data, ...more], folder.path);
  const [trained, refused] = await Promise.all([
    again('--epochs', '1', '-o', 'again.onnx'),
    again('--qat', '--weights', 'int8'),
  ]);
  expect(`${trained!.stdout}${trained!.stderr}`).toContain('weights learned in integers');
  expect([refused!.code, refused!.stderr]).toEqual([
    2,
    expect.stringContaining('quantized already'),
  ]);
}, 120_000);

test('what cannot be learned from is refused before anything runs', async () => {
  const finetune = (...flags: string[]) => pare(['finetune', 'cut.onnx', ...flags], folder.path);
  const [blind, none, zero, frozen] = await Promise.all([
    finetune(...data, '--loss', 'distillation'),
    finetune('--teacher', 'digits.onnx'),
    finetune(...data, '--epochs', '0'),
    finetune(...data, '--freeze', 'nowhere'),
  ]);
  expect(blind!.stderr).toContain('distillation compares with a teacher, and none is given');
  expect(none!.stderr).toContain('no data is given');
  expect(zero!.stderr).toContain('--epochs');
  expect(frozen!.stderr).toContain('nowhere');
  expect([blind, none, zero, frozen].map((run) => run!.code)).toEqual([2, 2, 2, 2]);
}, 60_000);

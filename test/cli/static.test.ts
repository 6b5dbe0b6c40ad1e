/**
 * pare quantize --scheme static as users call it: with samples, and without.
 */
import { afterAll, expect, test } from 'vitest';
import { digits, documentOf, hashOf, makeFolder, pare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);

test('static quantization keeps the digits apart and makes the same file with one thread or two', async () => {
  const quantize = ['quantize', 'digits.onnx', '--scheme', 'static', ...digits, '--json'];
  const [one, two] = await Promise.all([
    pare([...quantize, '--threads', '1', '-o', 'one.onnx'], folder.path),
    pare([...quantize, '--threads', '2', '-o', 'two.onnx'], folder.path),
  ]);
  expect(one.code, one.stderr).toBe(0);
  const { report, sizes, evaluations } = documentOf(one);
  const chosen = report.changed.filter(({ follows }: { follows?: true }) => !follows);
  // The first Conv has one input channel on the largest map: float is faster there.
  expect(chosen.map(({ op }: { op: string }) => op)).toEqual(['Conv', 'Gemm', 'Gemm']);
  expect(sizes.after).toBeLessThan(0.3 * sizes.before);
  expect(evaluations[1].drop.points).toBeLessThanOrEqual(1);
  expect(evaluations[1].outputs[0].agreement.snrDb).toBeGreaterThan(30);
  expect(two.code, two.stderr).toBe(0);
  expect(hashOf(folder.file('two.onnx'))).toBe(hashOf(folder.file('one.onnx')));
}, 60_000);

test('without samples it says what is missing', async () => {
  const { code, stderr } = await pare(
    ['quantize', 'digits.onnx', '--scheme', 'static', '-o', 'none.onnx'],
    folder.path,
  );
  expect(code).toBe(2);
  expect(stderr).toContain('needs samples');
  expect(stderr).toContain('--data');
});

test('--quantize-input takes raw pixels and agrees as well as the float input does', async () => {
  const raw = ['--quantize-input', '--quantize-output', '-o', 'raw.onnx', '--json'];
  const made = await pare(
    ['quantize', 'digits.onnx', '--scheme', 'static', ...digits, ...raw],
    folder.path,
  );
  expect(made.code, made.stderr).toBe(0);
  const [, evaluation] = documentOf(made).evaluations;
  expect(evaluation.flips.share).toBeLessThan(0.02);
  const inspected = documentOf(await pare(['inspect', 'raw.onnx', '--json'], folder.path));
  expect(JSON.stringify(inspected.inputs)).toContain('uint8');
  expect(JSON.stringify(inspected.outputs)).toContain('uint8');
  // The same data through the preprocessing of the original: the raw form is found by itself.
  const both = await pare(
    ['evaluate', 'digits.onnx', 'raw.onnx', ...digits, '--json'],
    folder.path,
  );
  expect(both.code, both.stderr).toBe(0);
  expect(documentOf(both).evaluations[1].flips.share).toBeLessThan(0.02);
});

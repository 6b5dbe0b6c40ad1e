import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseModel } from '../../graph/parse.js';
import { openModel, saveModel } from '../../node.js';
import { runCli } from '../frame.js';
import { parseRanges } from '../run/calibration.js';
import { TestHost } from '../test-host.js';
import { commands } from './index.js';

const text = `main (float[N,4,6,6] x) => (float[N,3] y)
  < float[4,4,3,3] a = normal(seed=1, std=0.3), float[3,144] f = normal(seed=2, std=0.2) >
  { [conv] p = Conv<pads = [1,1,1,1]>(x, a) q = Relu(p) r = Flatten(q) [head] y = Gemm<transB = 1>(r, f) }`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pare-calibration-'));
  await saveModel(parseModel(text), join(folder, 'net.onnx'));
  await writeFile(join(folder, 'x.npy'), npy([40, 4, 6, 6]));
  const { code, err } = await quantize(
    '--data',
    'x.npy',
    '--samples',
    '20',
    '--save-calibration',
    't.json',
    '-o',
    'a.onnx',
  );
  expect(err).not.toContain('error');
  expect(code).toBe(0);
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Numbers between -1 and 1 as a float32 array file, version 1.0. */
function npy(dims: readonly number[]): Uint8Array {
  const shape = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims.join(', ')}), }`;
  const header = shape.padEnd(117, ' ').concat('\n');
  const count = dims.reduce((product, dim) => product * dim, 1);
  const data = Float32Array.from({ length: count }, (_, i) => Math.sin(i * i));
  const magic = Uint8Array.of(0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, header.length, 0);
  return Uint8Array.from([
    ...magic,
    ...new TextEncoder().encode(header),
    ...new Uint8Array(data.buffer),
  ]);
}

async function pare(...argv: string[]) {
  const host = new TestHost({ cwd: folder });
  const code = await runCli(argv, commands, host);
  return { code, out: host.stdout.text, err: host.stderr.text };
}
const quantize = (...flags: string[]) =>
  pare('quantize', 'net.onnx', '--scheme', 'static', ...flags);

describe('pare quantize', () => {
  test('a table in place of the samples that made it gives the same file', async () => {
    const flags = ['--bias-correction', 'off', '--samples', '20', '--data', 'x.npy'];
    expect((await quantize(...flags, '-o', 'direct.onnx')).code).toBe(0);
    const { code } = await quantize(
      '--calibration',
      't.json',
      '--bias-correction',
      'off',
      '-o',
      'b.onnx',
    );
    expect(code).toBe(0);
    const [direct, read] = await Promise.all(
      ['direct.onnx', 'b.onnx'].map((file) => readFile(join(folder, file))),
    );
    expect(read!.equals(direct!)).toBe(true);
  });

  test('overrides of the config file hold', async () => {
    const config = { quantize: { overrides: { q: { min: 0, max: 5.1 } } } };
    await writeFile(join(folder, 'over.json'), JSON.stringify(config));
    const flags = ['--calibration', 't.json', '--config', 'over.json', '-o', 'c.onnx'];
    expect((await quantize(...flags)).code).toBe(0);
    const { model: small, close } = await openModel(join(folder, 'c.onnx'));
    const [scale] = await small.graph.value('q_scale').initializer!.numbers();
    await close();
    expect(scale).toBe(Math.fround(5.1 / 255));
    const wrong = { quantize: { overrides: { q: { minimum: 0 } } } };
    await writeFile(join(folder, 'over.json'), JSON.stringify(wrong));
    const { code, err } = await quantize(...flags, '--force');
    expect([code, err]).toEqual([2, expect.stringContaining('quantize.overrides')]);
  });

  test('reports the nodes and keeps as many in float as it is told', async () => {
    const flags = [
      '--data',
      'x.npy',
      '--sensitivity',
      'nodes.json',
      '--keep-float',
      '1',
      '-o',
      'd.onnx',
    ];
    const { code, out } = await quantize(...flags, '--json');
    expect(code).toBe(0);
    const { kept, sensitivity, written } = JSON.parse(out);
    expect(written).toHaveLength(2);
    expect(sensitivity.nodes.map(({ node }: { node: string }) => node).sort()).toEqual([
      'conv',
      'head',
    ]);
    expect(kept).toEqual([sensitivity.nodes[0].node]);
    expect(JSON.parse(await readFile(join(folder, 'nodes.json'), 'utf8'))).toEqual(sensitivity);
  });

  test('a promise that no choice keeps is exit 4 and writes nothing', async () => {
    const flags = [
      '--data',
      'x.npy',
      '--samples',
      '20',
      '--keep-float',
      'auto',
      '--min-snr',
      '300',
    ];
    const { code, err } = await quantize(...flags, '-o', 'e.onnx');
    expect([code, err]).toEqual([4, expect.stringContaining('does not keep the promise')]);
    await expect(readFile(join(folder, 'e.onnx'))).rejects.toThrow('ENOENT');
  });

  test.each([
    [['--max-flips', '1', '--data', 'x.npy'], /asks for a search/],
    [['--keep-float', 'auto'], /--keep-float needs samples/],
    [['--sensitivity', 'r.json'], /--sensitivity needs samples/],
    [['--save-calibration', 's.json'], /--save-calibration needs samples/],
    [['--data', 'x.npy', '--keep-float', '1', '--keep-wide', '1'], /two ways/],
    [['--calibration', 't.json', '--save-calibration', 's.json', '--data', 'x.npy'], /not both/],
  ])('refuses %j', async (flags, message) => {
    const { code, err } = await quantize(...flags, '-o', 'f.onnx');
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });
});

describe('pare calibration', () => {
  test('shows a row per value on stdout, and the same with --json', async () => {
    const { code, out } = await pare('calibration', 't.json', '--calibrator', 'min-max');
    expect(code).toBe(0);
    expect(out).toMatch(/^x +\[N,4,6,6\] +-1 +1 +-1 to 1 +0\.007843 +\d+ +0 % +\S+$/m);
    const { values } = JSON.parse((await pare('calibration', 't.json', '--json')).out);
    expect(values.map(({ name }: { name: string }) => name)).toContain('q');
  });

  test('pins a range in a new file, and leaves the old one alone', async () => {
    const before = await readFile(join(folder, 't.json'), 'utf8');
    expect(
      (await pare('calibration', 't.json', '--set', 'q=0,2.5', '-o', 'pinned.json')).code,
    ).toBe(0);
    expect(await readFile(join(folder, 't.json'), 'utf8')).toBe(before);
    const { out } = await pare('calibration', 'pinned.json');
    expect(out).toMatch(/0 to 2\.5 pinned/);
    const unknown = await pare('calibration', 't.json', '--set', 'qq=0,1', '-o', 'no.json');
    expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('no value "qq"')]);
    expect((await pare('calibration', 't.json', '--set', 'q=0,1')).err).toContain('-o FILE');
    expect(
      (await pare('calibration', 't.json', '--set', 'q=0,1', '-o', 't.json', '--force')).code,
    ).toBe(2);
  });

  test('reads NAME=MIN,MAX however the commas were cut', () => {
    const expected = { 'a=b': { min: -1, max: 2 }, c: { min: 0, max: 0.5 } };
    expect(parseRanges(['a=b=-1,2', 'c=0,0.5'])).toEqual(expected);
    expect(parseRanges(['a=b=-1', '2', 'c=0', '0.5'])).toEqual(expected);
    for (const wrong of ['q', 'q=', 'q=1', 'q=1,x', '=1,2']) {
      expect(() => parseRanges([wrong])).toThrow(/NAME=MIN,MAX/);
    }
  });
});

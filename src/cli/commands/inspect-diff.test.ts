import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseModel } from '../../graph/parse.js';
import { saveModel } from '../../node.js';
import { runCli } from '../frame.js';
import { parseDims } from '../parse-dims.js';
import { TestHost } from '../test-host.js';
import { commands } from './index.js';

const text = `
  < ir_version: 8, opset_import: ["" : 17] >
  main (float[N,2] x) => (float[N,2] y)
  < float[2,2] w = {1, 2, 3, 4} >
  {
    [fc] y = MatMul(x, w)
  }`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pare-inspect-'));
  await saveModel(await parseModel(text), join(folder, 'a.onnx'));
  await saveModel(await parseModel(text.replace('3, 4', '3, 5')), join(folder, 'b.onnx'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function pare(...argv: string[]) {
  const host = new TestHost({ cwd: folder });
  const code = await runCli(argv, commands, host);
  return { code, out: host.stdout.text, err: host.stderr.text };
}

describe('pare inspect', () => {
  test('prints the report on stdout', async () => {
    const { code, out, err } = await pare('inspect', 'a.onnx', '--dims', 'N=3');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('file        a.onnx');
    expect(out).toContain('12 MACs for x [3,2]');
    expect(out).toContain('pare optimize a.onnx');
  });

  test('prints the textual form, which reads back', async () => {
    const { out } = await pare('inspect', 'a.onnx', '--format', 'text', '--weights', 'full');
    expect(out).toContain('[fc] y = MatMul(x, w)');
    expect([...(await parseModel(out)).graph.nodes]).toHaveLength(1);
  });

  test('gives the same document with --json and --format json', async () => {
    const flags = ['inspect', 'a.onnx', '--no-shapes', '--check'];
    const { out: document } = await pare(...flags, '--json');
    const { out: text } = await pare(...flags, '--format', 'json');
    expect(JSON.parse(document)).toMatchObject({ schema: 1, file: 'a.onnx', parameters: 4 });
    expect(JSON.parse(text)).toEqual(JSON.parse(document));
  });
});

describe('pare diff', () => {
  test('tells equal from different by the exit code only when asked to', async () => {
    const flags = ['--no-outputs'];
    expect((await pare('diff', 'a.onnx', 'b.onnx', ...flags)).code).toBe(0);
    expect((await pare('diff', 'a.onnx', 'b.onnx', ...flags, '--exit-code')).code).toBe(1);
    expect((await pare('diff', 'a.onnx', 'a.onnx', ...flags, '--exit-code')).code).toBe(0);
  });

  test('shows weights and outputs', async () => {
    const { out } = await pare('diff', 'a.onnx', 'b.onnx');
    expect(out).toMatch(/a\.onnx and b\.onnx differ; the same interface/);
    // 10 log10(30 / 1)
    expect(out).toMatch(/w +float\[2,2\] +float\[2,2\] +14\.8 dB +1\.00e\+0/);
    expect(out).toContain('Outputs on 4 random inputs');
  });

  test('shows the lines that differ', async () => {
    const { out } = await pare('diff', 'a.onnx', 'b.onnx', '--text');
    expect(out.split('\n').filter((line) => /^[-+] /.test(line))).toEqual([
      '-  float[2,2] w = {1, 2, 3, 4}',
      '+  float[2,2] w = {1, 2, 3, 5}',
    ]);
  });
});

describe('parseDims', () => {
  test('takes sizes of symbols and of whole inputs', () => {
    expect(parseDims(['seq=128', 'image=1x3x8x8'])).toEqual({ seq: 128, image: [1, 3, 8, 8] });
  });

  test.each(['seq', 'seq=', 'seq=x', '=3'])('refuses %s', (wrong) => {
    expect(() => parseDims([wrong])).toThrow(/NAME=N/);
  });
});

/**
 * The way of a model through the commands: optimize, verify, diff, inspect, evaluate, bench. One
 * run of optimize is shared by all.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asset, digits, documentOf, hashOf, makeFolder, pare, type Result } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);

const hashBefore = hashOf(folder.file('digits.onnx'));
let run: Result;
beforeAll(async () => {
  mkdirSync(folder.file('out'));
  mkdirSync(folder.file('elsewhere'));
  const flags = ['--max-drop', '1.5%', '--threads', '1', '-o', '../out/small.onnx', '--json'];
  run = await pare(['optimize', '../digits.onnx', ...digits, ...flags], folder.file('elsewhere'));
}, 60_000);

describe('optimize', () => {
  test('writes the model and its receipt, and nothing else', () => {
    expect(run.stderr).toContain('Wrote ../out/small.onnx and its receipt small.json');
    expect(run.code).toBe(0);
    expect(readdirSync(folder.file('out')).sort()).toEqual(['small.json', 'small.onnx']);
    expect(readdirSync(folder.file('elsewhere'))).toEqual([]);
    expect(readdirSync(folder.path).sort()).toEqual(['digits.onnx', 'elsewhere', 'out']);
  });

  test('leaves its input as it was', () => {
    expect(hashOf(folder.file('digits.onnx'))).toBe(hashBefore);
  });

  test('--json is one document on stdout; the text for people is on stderr', () => {
    const document = documentOf(run);
    expect(document).toMatchObject({ schema: 1, command: 'optimize', model: '../digits.onnx' });
    expect(document.written).toEqual({
      model: folder.file('out/small.onnx'),
      receipt: folder.file('out/small.json'),
    });
    expect(run.stderr).toMatch(/^candidate +size +latency/);
  });

  test('the receipt names model, data and output relative to itself, with their hashes', () => {
    const receipt = JSON.parse(readFileSync(folder.file('out/small.json'), 'utf8'));
    expect(receipt).toEqual(documentOf(run).receipt);
    expect(receipt).toMatchObject({
      kind: 'pare receipt',
      schema: 1,
      target: 'node',
      promise: { maxDrop: 1.5 },
      seed: 0,
      threads: 1,
      model: { path: '../digits.onnx', sha256: hashBefore },
      output: { path: 'small.onnx', sha256: hashOf(folder.file('out/small.onnx')) },
      data: { size: 2000, samples: { search: 100, evaluate: 200 }, limit: 200 },
    });
    expect(receipt.command).toMatch(
      /^pare optimize \.\.\/digits\.onnx .*--max-drop 1\.5 .*--seed 0 --threads 1$/,
    );
    expect(receipt.optimized.bytes).toBeLessThan(0.6 * receipt.original.bytes);
    expect(receipt.optimized.evaluation.drop.points).toBeLessThanOrEqual(1.5);
    expect(receipt.candidates.length).toBeGreaterThan(4);
    expect(receipt.recipe[0]).toEqual({ pass: 'simplify', options: {} });
  });
});

test('every command after it works on its output', async () => {
  const cwd = folder.file('out');
  const [before, after] = ['../digits.onnx', 'small.onnx'];

  const inspect = documentOf(await pare(['inspect', after, '--json'], cwd));
  expect(inspect).toMatchObject({ schema: 1, provenance: { 'pare.version': expect.any(String) } });

  const diff = documentOf(await pare(['diff', before, after, '--json'], cwd));
  expect(diff.schema).toBe(1);

  const evaluate = await pare(['evaluate', before, after, ...digits, '--json', '--quiet'], cwd);
  expect(evaluate).toMatchObject({ code: 0, stderr: '' });
  const [original, small] = documentOf(evaluate).evaluations;
  expect(original.classification.top1.share).toBeGreaterThan(0.9);
  expect(small.flips.share).toBeLessThan(0.05);
  expect(small).toMatchObject({ model: 'small.onnx', reference: 'digits.onnx', samples: 200 });

  const flags = ['--rounds', '5', '--threads', '1', '--no-memory'];
  const bench = documentOf(await pare(['bench', before, after, ...flags, '--json'], cwd));
  expect(
    bench.rows.map((row: { model: string; rounds: number }) => [row.model, row.rounds]),
  ).toEqual([
    ['digits.onnx', 5],
    ['small.onnx', 5],
  ]);
});

describe('verify', () => {
  test('makes the same file again and finds every figure as stated, from any folder', async () => {
    const result = await pare(['verify', '../out/small.onnx', '--json'], folder.file('elsewhere'));
    const { ok, checks } = documentOf(result);
    expect(checks.filter((check: { result: string }) => check.result !== 'ok')).toEqual([]);
    expect(checks.map(({ name }: { name: string }) => name)).toEqual([
      'original unchanged',
      'output unchanged',
      'data unchanged',
      'recipe makes the same file',
      'promise kept',
      'score of the original',
      'score of the output',
      'measured again',
    ]);
    expect([ok, result.code]).toEqual([true, 0]);
  });

  test('exits with 4 and names the check when one byte of a weight differs', async () => {
    cpSync(folder.file('out'), folder.file('tampered'), { recursive: true });
    const path = folder.file('tampered/small.onnx');
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 0x40;
    writeFileSync(path, bytes);
    const result = await pare(['verify', path, '--json'], folder.path);
    expect(result.code).toBe(4);
    const { ok, checks } = documentOf(result);
    expect(ok).toBe(false);
    expect(checks).toContainEqual({
      name: 'output unchanged',
      result: 'failed',
      detail: expect.stringContaining('the receipt states'),
    });
    expect(checks).toContainEqual(
      expect.objectContaining({ name: 'recipe makes the same file', result: 'ok' }),
    );
  });

  test('says what is missing, and how to name it', async () => {
    const moved = folder.file('moved');
    mkdirSync(`${moved}/deep`, { recursive: true });
    cpSync(folder.file('out'), `${moved}/deep/er`, { recursive: true });
    const result = await pare(['verify', 'deep/er/small.onnx'], moved);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('verify: the original model is not there');
    expect(result.stderr).toContain('--original FILE');
    const none = await pare(['verify', asset('digits.onnx')], moved);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('verify: there is no receipt');
  });

  test.each([
    ['null', 'this is no receipt'],
    ['{"kind":"pare receipt","schema":1}', '"pare" is missing or wrong'],
    ['{', 'no readable receipt'],
  ])('a receipt %s is refused', async (text, message) => {
    writeFileSync(folder.file('wrong.json'), text);
    const result = await pare(['verify', 'out/small.onnx', '--receipt', 'wrong.json'], folder.path);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(message);
  });
});

test('what is optimized already has nothing to gain: 5, and nothing is written', async () => {
  const args = ['optimize', 'out/small.onnx', ...digits, '-o', 'again.onnx', '--json'];
  const result = await pare(args, folder.path);
  expect(result.stderr).toContain('nothing was written');
  expect(result.code).toBe(5);
  expect(documentOf(result)).toMatchObject({ schema: 1, written: null, failure: 'budget' });
  expect(readdirSync(folder.path)).not.toContain('again.onnx');
});

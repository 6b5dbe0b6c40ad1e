/**
 * Every documented exit code, from real causes, with the words that help. Scripts branch on them.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeNpy } from '../../src/data/npy.js';
import { hostTensor } from '../../src/engine/host-tensor.js';
import { parseModel } from '../../src/graph/parse.js';
import { encode } from '../../src/load.js';
import { digits, documentOf, makeFolder, pare } from './run-pare.js';

const folder = makeFolder();
afterAll(folder.remove);

const npy = (...dims: number[]) => {
  const size = dims.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: size }, (_, at) => Math.abs(Math.sin(at)));
  return encodeNpy(hostTensor('float', dims, data));
};

let files: string[];
beforeAll(async () => {
  const model = readFileSync(folder.file('digits.onnx'));
  writeFileSync(folder.file('truncated.onnx'), model.subarray(0, model.length >> 1));
  writeFileSync(folder.file('text.onnx'), 'this is a text\nand no model\n');
  writeFileSync(folder.file('picture.onnx'), Buffer.from('ffd8ffe000104a46494600010100', 'hex'));
  writeFileSync(folder.file('empty.onnx'), '');
  writeFileSync(folder.file('wrong-shape.npy'), npy(6, 3, 5));
  writeFileSync(folder.file('unlabelled.npy'), npy(12, 1, 28, 28));
  writeFileSync(folder.file('one.npy'), npy(1, 1, 28, 28));
  const relu = parseModel('main (float[N,1,28,28] x) => (float[N,1,28,28] y) { y = Relu(x) }');
  writeFileSync(folder.file('relu.onnx'), Buffer.concat(await encode(relu)));
  files = readdirSync(folder.path).sort();
});

/** Runs what must fail: the code, what stderr says, one error document, and no file. */
async function fails(args: readonly string[], code: number, ...words: (string | RegExp)[]) {
  const result = await pare([...args, '--json'], folder.path);
  for (const word of words) expect(result.stderr).toMatch(word);
  expect(result.stderr).not.toMatch(/\n {4}at /);
  expect(result.code).toBe(code);
  const document = documentOf(result);
  expect(document.schema).toBe(1);
  expect(readdirSync(folder.path).sort()).toEqual(files);
  return document;
}

const optimize = ['optimize', 'digits.onnx', '-o', 'out.onnx'];

// Nothing is written, so all run at once: most of the time of each is the start of Node.
describe.concurrent('2: usage', () => {
  test.each<[string, string[], ...(string | RegExp)[]]>([
    [
      'a misspelt flag',
      [...optimize, '--max-drp', '1'],
      'unknown option "--max-drp"',
      'did you mean --max-drop',
    ],
    ['a misspelt command', ['optimise', 'digits.onnx'], 'did you mean "pare optimize"'],
    ['a choice that is none', [...optimize, '--for', 'speed'], 'latency, size, balanced'],
    ['a number that is none', [...optimize, '--max-drop', 'half'], '--max-drop', '0.5 or 0.5%'],
    ['a negative limit', [...optimize, '--max-drop=-1'], '--max-drop'],
    ['no model', ['optimize'], 'MODEL is missing'],
    ['no data', optimize, 'no data is given', '--data PATH'],
    ['no scheme', ['quantize', 'digits.onnx'], '--scheme'],
    [
      'data that fit no input',
      [...optimize, '--data', 'wrong-shape.npy'],
      /3,\s?5/,
      /1,\s?28,\s?28/,
    ],
    [
      'a drop without labels',
      [...optimize, '--data', 'unlabelled.npy', '--max-drop', '1'],
      '--max-drop cannot be measured',
      '--max-flips',
    ],
    [
      'a drop without classes',
      ['optimize', 'relu.onnx', '--data', 'unlabelled.npy', '--max-flips', '1'],
      '--max-flips cannot be measured',
      '--min-snr',
    ],
    ['a single sample', [...optimize, '--data', 'one.npy'], '1 sample is too few'],
    [
      'a pattern for nothing',
      ['quantize', 'digits.onnx', '--scheme', 'dynamic', '--exclude', '/haed/*', '-o', 'out.onnx'],
      '"/haed/*" matches no node',
    ],
    [
      'an option of another scheme',
      ['quantize', 'digits.onnx', '--scheme', 'float16', '--reduce-range', '-o', 'out.onnx'],
      'float16 has no option --reduce-range',
      '--mode',
    ],
    [
      'a rewrite that is none',
      ['simplify', 'digits.onnx', '--include', 'everything'],
      'no rewrite is named "everything"',
    ],
    [
      'preprocessing of no data',
      ['bench', 'digits.onnx', '--preprocess', 'unit'],
      '--preprocess has no effect without data',
    ],
    [
      'the output over the input',
      ['simplify', 'digits.onnx', '-o', 'digits.onnx', '--force'],
      'would replace an input',
    ],
    [
      'the output over the data',
      [...optimize.slice(0, 3), 'unlabelled.npy', '--data', 'unlabelled.npy', '--force'],
      'would replace an input',
    ],
  ])('%s', async (_, args, ...words) => {
    const { error } = await fails(args, 2, ...words);
    expect(error.code).toMatch(/^(usage|data-mismatch|invalid-data)$/);
  });
});

describe.concurrent('3: no readable model', () => {
  test.each<[string, ...(string | RegExp)[]]>([
    ['truncated.onnx', 'truncated', 'truncated.onnx'],
    ['text.onnx', 'not an ONNX model, it looks like a text file'],
    ['picture.onnx', 'not an ONNX model', /JPEG/i],
    ['empty.onnx', 'empty.onnx'],
    ['missing.onnx', 'no such file'],
    ['.', /folder/],
  ])('%s', async (name, ...words) => {
    await fails(['inspect', name], 3, ...words);
  });

  test('optimize says the same, whatever else is wrong', async () => {
    await fails(['optimize', 'truncated.onnx', ...digits, '-o', 'out.onnx'], 3, 'truncated');
  });
});

test('4: a promise that nothing smaller or faster keeps', async () => {
  const document = await fails(
    [...optimize, ...digits, '--samples', '50', '--for', 'size', '--min-snr', '200dB'],
    4,
    'keeps the promise (SNR of at least 200 dB)',
  );
  expect(document).toMatchObject({ written: null, failure: 'quality' });
});

test.concurrent('5: nothing applies to the model', async () => {
  const args = ['optimize', 'relu.onnx', '--data', 'unlabelled.npy', '-o', 'out.onnx'];
  const document = await fails(args, 5, 'Nothing is smaller or faster than the model as it is');
  expect(document).toMatchObject({ written: null, failure: 'budget', promise: { minSnr: 30 } });
});

test.concurrent('6: outside what pare or the target can do', async () => {
  await fails([...optimize, ...digits, '--target', 'webgpu'], 6, 'webgpu');
});

test.concurrent('0: help and version, on stdout', async () => {
  const [help, version, own] = await Promise.all([
    pare(['--help'], folder.path),
    pare(['--version'], folder.path),
    pare(['optimize', '--help'], folder.path),
  ]);
  expect([help.code, version.code, own.code]).toEqual([0, 0, 0]);
  expect(help.stdout).toContain('optimize');
  expect(help.stdout).toContain('130');
  expect(own.stdout).toContain('--max-drop');
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(help.stderr + version.stderr + own.stderr).toBe('');
});

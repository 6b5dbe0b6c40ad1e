import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { stampOf, stampOfOutput } from './node-hash.js';

const folder = mkdtempSync(join(tmpdir(), 'pare-hash-'));
afterAll(() => rmSync(folder, { recursive: true }));
const model = join(folder, 'net.onnx');
const receipt = join(folder, 'receipts', 'net.json');

/** Parts that are made when they are read, as those of external data are. */
function lazily(text: string) {
  return {
    async *[Symbol.asyncIterator]() {
      for (const word of text.split(/(?<= )/)) yield Buffer.from(word);
    },
  };
}

test('files on disk and files to be written have the same stamp, in any order of the data', async () => {
  const data = ['net.onnx.data', 'net.onnx.data_1'].map((name) => join(folder, name));
  const content = new Map([
    [model, 'the model'],
    [data[0]!, 'first weights'],
    [data[1]!, 'more weights'],
  ]);
  for (const [path, text] of content) writeFileSync(path, text);
  const expected = {
    path: '../net.onnx',
    bytes: [...content.values()].join('').length,
    sha256: createHash('sha256')
      .update([...content.values()].join(''))
      .digest('hex'),
  };
  expect(await stampOf([model, ...data], receipt)).toEqual(expected);
  expect(await stampOf([model, ...data.toReversed()], receipt)).toEqual(expected);
  const files = [...content].map(([path, text]) => ({ path, parts: lazily(text) })).reverse();
  expect(await stampOfOutput(files, model, receipt)).toEqual(expected);
  // Read again: the parts are still there to be written.
  expect(await stampOfOutput(files, model, receipt)).toEqual(expected);
});

test('a model in one file has the hash that sha256sum prints', async () => {
  writeFileSync(model, 'abc');
  const { sha256 } = await stampOf([model], receipt);
  expect(sha256).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('a file that is gone is an io error that names it', async () => {
  await expect(stampOf([join(folder, 'gone.onnx')], receipt)).rejects.toMatchObject({
    code: 'io',
    message: expect.stringContaining('gone.onnx'),
  });
});

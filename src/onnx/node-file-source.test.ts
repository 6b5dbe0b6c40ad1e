import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PareError } from '../errors.js';
import { nodeFileSource } from './node-file-source.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pare-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const errorOf = (promise: Promise<unknown>): Promise<PareError> =>
  promise.then(
    () => expect.fail('nothing was thrown'),
    (error) => error,
  );

describe('nodeFileSource', () => {
  it('reads ranges, in any order and at once', async () => {
    const path = join(folder, 'a.bin');
    await writeFile(
      path,
      Uint8Array.from({ length: 1000 }, (_, i) => i % 251),
    );
    const source = await nodeFileSource(path);
    expect(source).toMatchObject({ name: path, byteLength: 1000 });
    const [end, start, none] = await Promise.all([
      source.slice(998, 1000),
      source.slice(0, 3),
      source.slice(5, 5),
    ]);
    expect(end).toEqual(Uint8Array.of(998 % 251, 999 % 251));
    expect(start).toEqual(Uint8Array.of(0, 1, 2));
    expect(none).toHaveLength(0);
    expect((await errorOf(source.slice(0, 1001))).code).toBe('io');
    await source.close();
  });

  it('says what is wrong with a path', async () => {
    const missing = join(folder, 'missing.onnx');
    expect(await errorOf(nodeFileSource(missing))).toMatchObject({
      code: 'io',
      message: `read: there is no such file (file "${missing}")`,
      where: { file: missing },
    });
    expect((await errorOf(nodeFileSource(folder))).message).toContain('this is a folder');
    await writeFile(join(folder, 'file'), '');
    const below = await errorOf(nodeFileSource(join(folder, 'file', 'x')));
    expect(below.message).toContain('a part of the path is a file');
  });

  it('notices that a file was cut', async () => {
    const path = join(folder, 'a.bin');
    await writeFile(path, new Uint8Array(100));
    const source = await nodeFileSource(path);
    await truncate(path, 60);
    const error = await errorOf(source.slice(50, 100));
    expect(error.code).toBe('io');
    expect(error.message).toContain('the file ends at byte 60, 40 bytes before it should');
    await source.close();
  });
});

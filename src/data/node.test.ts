import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode as encodePng } from 'fast-png';
import jpeg from 'jpeg-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dataset, Sample } from './dataset.js';
import { decodeImage } from './decode-image.js';
import { decodeImageInNode, loadPreprocess, openFileSource, openPath } from './node.js';
import { encodeNpy } from './npy.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pare-data-'));
});
afterAll(() => rm(root, { recursive: true }));

async function write(path: string, content: Uint8Array | string): Promise<string> {
  const full = join(root, path);
  await mkdir(join(full, '..'), { recursive: true });
  await writeFile(full, content);
  return full;
}

async function collect(dataset: Dataset): Promise<Sample[]> {
  const all: Sample[] = [];
  for await (const sample of dataset.samples()) all.push(sample);
  return all;
}

const png = encodePng({ width: 2, height: 2, channels: 3, data: new Uint8Array(12).fill(9) });

describe('openPath', () => {
  it('opens a directory of pictures, links to files included', async () => {
    const first = await write('photos/cat/a.png', png);
    await write('photos/dog/b.png', png);
    await symlink(first, join(root, 'photos/dog/c.png'));
    const dataset = await openPath(join(root, 'photos'));
    expect((await collect(dataset)).map(({ id, label }) => [id, label])).toEqual([
      ['cat/a.png', 0],
      ['dog/b.png', 1],
      ['dog/c.png', 1],
    ]);
  });

  it('opens a table of files and labels under any name', async () => {
    await write('tabled/images/a.png', png);
    const table = await write('tabled/mine.csv', 'path,class\nimages/a.png,4\n');
    expect(await collect(await openPath(table))).toMatchObject([{ id: 'images/a.png', label: 4 }]);
  });

  it('finds the labels beside IDX images', async () => {
    const images = await write(
      'idx/t-images-idx3-ubyte',
      Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 5),
    );
    await write('idx/t-labels-idx1-ubyte', Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 1, 3));
    const [sample] = await collect(await openPath(images));
    expect(sample).toMatchObject({
      label: 3,
      inputs: { '': { dims: [1, 1], data: Uint8Array.of(5) } },
    });
  });

  it('reads a npy file row by row, and a folder of them by name', async () => {
    const tensor = { dataType: 'int32', dims: [2, 1], data: Int32Array.of(7, 8) } as const;
    const x = await write('arrays/x.npy', encodeNpy(tensor));
    await write('arrays/y.npy', encodeNpy({ ...tensor, dims: [2], data: Int32Array.of(1, 0) }));
    expect((await collect(await openPath(x)))[1]!.inputs['']!.data).toEqual(Int32Array.of(8));
    expect((await collect(await openPath(join(root, 'arrays')))).map(({ label }) => label)).toEqual(
      [1, 0],
    );
  });

  it('runs a module that exports an iterable or a function', async () => {
    const array = await write('array.mjs', 'export default [{ inputs: { x: [1, 2] }, label: 1 }];');
    const generator = await write(
      'generator.mjs',
      'export async function* samples() { yield new Float32Array(3); }',
    );
    expect(await collect(await openPath(array))).toMatchObject([{ label: 1 }]);
    expect(await collect(await openPath(generator))).toMatchObject([
      { inputs: { '': { dims: [3] } } },
    ]);
    const nothing = await write('nothing.mjs', 'export default 5;');
    await expect(openPath(nothing)).rejects.toThrow(/exports no iterable/);
    const broken = await write('broken.mjs', 'throw new Error("boom");');
    await expect(openPath(broken)).rejects.toThrow(/does not load: boom/);
  });

  it('says what is missing or unknown', async () => {
    await expect(openPath(join(root, 'no'))).rejects.toMatchObject({ code: 'io' });
    await expect(openPath(await write('x.bin', 'abc'))).rejects.toThrow(
      /unknown format \(starts with 61 62 63\)/,
    );
    await expect(openPath(await write('empty', ''))).rejects.toThrow(/starts with nothing/);
  });
});

describe('loadPreprocess', () => {
  it('takes a preset, JSON, or a file of either kind', async () => {
    expect(await loadPreprocess('unit')).toEqual({ scale: 1 / 255 });
    const own = await write('own.json', '{"preset":"unit","mean":0.5}');
    expect(await loadPreprocess(own)).toEqual({ scale: 1 / 255, mean: 0.5 });
    const theirs = await write('preprocessor_config.json', '{"do_resize":false,"do_rescale":true}');
    expect(await loadPreprocess(theirs)).toEqual({ scale: 1 / 255 });
    const bad = await write('bad.json', '{"mean":');
    await expect(loadPreprocess(bad)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('bad.json'),
    });
    await expect(loadPreprocess('gone.json')).rejects.toMatchObject({ code: 'io' });
  });
});

describe('files and decoders', () => {
  it('reads ranges and checks them', async () => {
    const source = await openFileSource(await write('range.bin', Uint8Array.of(1, 2, 3)));
    expect(await source.slice(1, 3)).toEqual(Uint8Array.of(2, 3));
    await expect(source.slice(1, 4)).rejects.toMatchObject({ code: 'io' });
  });

  it('decodes the same pixels with sharp and without, JPEG within rounding', async () => {
    const size = 64;
    const data = Uint8Array.from(
      { length: size * size * 4 },
      (_, i) => 128 + 100 * Math.sin(i / 900 + (i % 4)),
    );
    const bytes = new Uint8Array(jpeg.encode({ width: size, height: size, data }, 90).data);
    const [plain, fast] = await Promise.all([
      decodeImage(bytes, 'x'),
      decodeImageInNode(bytes, 'x'),
    ]);
    const difference = plain.data.reduce((sum, x, i) => sum + Math.abs(x - fast.data[i]!), 0);
    expect(fast.data.length).toBe(plain.data.length);
    expect(difference / plain.data.length).toBeLessThan(1);
    expect((await decodeImageInNode(png, 'x')).data).toEqual((await decodeImage(png, 'x')).data);
    await expect(decodeImageInNode(bytes.subarray(0, 200), 'x')).rejects.toMatchObject({
      code: 'invalid-data',
    });
  });
});

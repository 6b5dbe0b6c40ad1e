import { encode as encodePng } from 'fast-png';
import { zipSync } from 'fflate';
import jpeg from 'jpeg-js';
import { describe, expect, it } from 'vitest';
import type { PortInfo } from '../engine/engine.js';
import { bytesSource } from '../onnx/byte-source.js';
import type { Sample } from './dataset.js';
import { decodeImage } from './decode-image.js';
import { openDataset } from './open.js';
import { withoutExif } from './web-decode.js';

const png = (value: number, size = 2) =>
  encodePng({
    width: size,
    height: size,
    channels: 3,
    data: new Uint8Array(size * size * 3).fill(value),
  });
const text = (content: string) => new TextEncoder().encode(content);
const folder = (files: Record<string, Uint8Array>) => ({
  name: 'pictures',
  files: Object.entries(files).map(([path, bytes]) => ({
    path,
    open: async () => bytesSource(bytes, path),
  })),
});
const ports: PortInfo[] = [{ name: 'x', dataType: 'float', dims: ['N', 3, 2, 2] }];

async function collect(samples: AsyncIterable<Sample>): Promise<Sample[]> {
  const all: Sample[] = [];
  for await (const sample of samples) all.push(sample);
  return all;
}

describe('image folders', () => {
  it('numbers the class folders in order, in a folder and in a zip of it', async () => {
    const files = {
      'set/dog/1.png': png(1),
      'set/cat/2.png': png(2),
      'set/readme.txt': text('x'),
      '.DS_Store': text(''),
    };
    const open = [folder(files), bytesSource(zipSync(files), 'set.zip')].map((source) =>
      openDataset(source, { ports, preprocess: 'unit' }),
    );
    for (const dataset of await Promise.all(open)) {
      expect(dataset.classes).toEqual(['cat', 'dog']);
      expect(dataset.notes).toEqual(['1 files are neither samples nor labels and are not used']);
      const samples = await collect(dataset.samples());
      expect(samples.map(({ id, label }) => [id, label])).toEqual([
        ['set/cat/2.png', 0],
        ['set/dog/1.png', 1],
      ]);
      expect(samples[1]!.inputs.x).toEqual({
        dataType: 'float',
        dims: [3, 2, 2],
        data: new Float32Array(12).fill(1 / 255),
      });
    }
  });

  it('takes numbers as class folders for the indices', async () => {
    const dataset = await openDataset(folder({ '10/a.png': png(0), '9/b.png': png(0) }), { ports });
    expect((await collect(dataset.samples())).map(({ label }) => label)).toEqual([10, 9]);
    expect(dataset.classes).toBeUndefined();
  });

  it('moves class names with their labels', async () => {
    const files = { './ant/a.png': png(0), './bee/b.png': png(0) };
    const source = bytesSource(zipSync(files), 'set.zip');
    const dataset = await openDataset(source, { ports, preprocess: { labelMap: [2, 0] } });
    expect(dataset.classes).toEqual(['bee', '', 'ant']);
    expect((await collect(dataset.samples())).map(({ label }) => label)).toEqual([2, 0]);
  });

  it('has no labels for pictures side by side', async () => {
    const dataset = await openDataset(folder({ 'all/a.png': png(0), 'all/b.png': png(0) }), {
      ports,
    });
    expect(dataset).toMatchObject({ size: 2, hasLabels: false });
  });

  it('reads labels.csv, its order and its class names; says what is left', async () => {
    const csv = text('file,label\nimages/b.png,dog\nimages/a.png,ant\n');
    const files = {
      'labels.csv': csv,
      'images/a.png': png(1),
      'images/b.png': png(2),
      'images/c.png': png(3),
    };
    const dataset = await openDataset(folder(files), { ports });
    expect((await collect(dataset.samples())).map(({ id, label }) => [id, label])).toEqual([
      ['images/b.png', 1],
      ['images/a.png', 0],
    ]);
    expect(dataset.notes).toEqual(['1 files are not in labels.csv and are not used']);
  });

  it('keeps train and test apart', async () => {
    const files = {
      'test/cat/a.png': png(0),
      'train/cat/b.png': png(0),
      'train/dog/c.png': png(0),
      'test/dog/d.png': png(0),
    };
    const dataset = await openDataset(folder(files), { ports });
    expect(dataset.parts).toEqual({ train: { start: 0, end: 2 }, test: { start: 2, end: 4 } });
    expect((await collect(dataset.samples())).map(({ label }) => label)).toEqual([0, 1, 0, 1]);
  });

  it.each([
    [{ 'a/1.png': png(0), '2.png': png(0) }, /1 files lie in class folders, 1 beside them/],
    [{ 'labels.csv': text('file,label\nnot.png,1\n'), 'a.png': png(0) }, /line 2 names "not.png"/],
    [{ 'a.png': png(0), 'b.wav': text('x') }, /both pictures and sounds/],
    [{ 'a.txt': text('x') }, /no samples/],
    [{ 'a.png': text('not a png') }, /neither JPEG nor PNG/],
    [{ 'a.png': png(0, 3) }, /\[3,3,3\].*\[N,3,2,2\]/],
  ])('refuses %#', async (files, message) => {
    await expect(
      openDataset(folder(files as Record<string, Uint8Array>), { ports }),
    ).rejects.toThrow(message);
  });

  it('reads no more than it is asked for', async () => {
    let opened = 0;
    const files = Array.from({ length: 50 }, (_, i) => ({
      path: `${i}.png`,
      open: async () => {
        opened++;
        return bytesSource(png(i));
      },
    }));
    const dataset = await openDataset({ name: 'x', files }, { ports, prefetch: 3 });
    for await (const sample of dataset.samples()) {
      expect(sample.id).toBe('0.png');
      break;
    }
    expect(opened).toBeLessThanOrEqual(1 + 4);
  });

  it('has the same fingerprint whatever the order of listing', async () => {
    const { name, files } = folder({ 'a.png': png(1), 'b.png': png(2) });
    const one = await openDataset({ name, files }, { ports });
    const two = await openDataset({ name, files: files.toReversed() }, { ports });
    expect(await one.fingerprint()).toBe(await two.fingerprint());
  });
});

describe('decodeImage', () => {
  it('reads PNG of every depth and kind', async () => {
    const gray16 = encodePng({
      width: 2,
      height: 1,
      channels: 1,
      depth: 16,
      data: Uint16Array.of(0x1234, 0xff00),
    });
    expect(await decodeImage(gray16, 'x')).toEqual({
      width: 2,
      height: 1,
      channels: 1,
      data: Uint8Array.of(0x12, 0xff),
    });
    const gray1 = encodePng({
      width: 3,
      height: 2,
      channels: 1,
      depth: 1,
      data: Uint8Array.of(0b10100000, 0b01000000),
    });
    expect((await decodeImage(gray1, 'x')).data).toEqual(Uint8Array.of(255, 0, 255, 0, 255, 0));
    const rgba = encodePng({ width: 1, height: 1, channels: 4, data: Uint8Array.of(1, 2, 3, 4) });
    expect(await decodeImage(rgba, 'x')).toEqual({
      width: 1,
      height: 1,
      channels: 4,
      data: Uint8Array.of(1, 2, 3, 4),
    });
  });

  it('refuses a JPEG that is cut short and pictures that cannot be in so few bytes', async () => {
    const whole = new Uint8Array(
      jpeg.encode({ width: 16, height: 16, data: new Uint8Array(1024).fill(90) }, 90).data,
    );
    expect((await decodeImage(whole, 'x')).data[0]).toBeCloseTo(90, -1);
    await expect(decodeImage(whole.subarray(0, whole.length - 9), 'x')).rejects.toThrow(
      /ends before its picture/,
    );
    const huge = png(0);
    new DataView(huge.buffer, huge.byteOffset).setUint32(16, 9000);
    new DataView(huge.buffer, huge.byteOffset).setUint32(20, 9000);
    await expect(decodeImage(huge, 'x')).rejects.toThrow(/says that it is 9000x9000 pixels/);
  });

  it('names sharp for formats it does not know', async () => {
    await expect(decodeImage(text('RIFF....WEBP'), 'x')).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringMatching(/npm install sharp/),
    });
  });

  it('cuts EXIF off, and nothing else', async () => {
    const whole = new Uint8Array(
      jpeg.encode({ width: 8, height: 8, data: new Uint8Array(256).fill(90) }, 90).data,
    );
    const exif = Uint8Array.of(0xff, 0xe1, 0, 8, 69, 120, 105, 102, 0, 0);
    const tagged = new Uint8Array([...whole.subarray(0, 2), ...exif, ...whole.subarray(2)]);
    expect(withoutExif(tagged)).toEqual(whole);
  });
});

import fc from 'fast-check';
import { gzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import type { HostTensor } from '../engine/engine.js';
import { bytesSource } from '../onnx/byte-source.js';
import { type DataType, dataTypes } from '../onnx/data-type.js';
import { isIdx, readIdx } from './idx.js';
import { encodeNpy, readNpy } from './npy.js';
import { encodeNpz, readNpz } from './npz.js';
import { openDataset } from './open.js';

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const types: readonly DataType[] = [
  'float',
  'double',
  'float16',
  'bool',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'int64',
  'uint64',
];

const tensors = fc
  .record({
    dataType: fc.constantFrom(...types),
    dims: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    seed: fc.nat(),
  })
  .map(({ dataType, dims, seed }): HostTensor => {
    const { array, bits } = dataTypes[dataType];
    const count = dims.reduce((a, b) => a * b, 1);
    const raw = Uint8Array.from({ length: (count * bits) / 8 }, (_, i) => (seed + i * 31) & 127);
    return { dataType, dims, data: new array!(raw.buffer, 0, count) };
  });

/** A npy file as NumPy writes it, with a header of choice. */
function npy(header: string, data: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(`${header.padEnd(117)}\n`);
  return Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length, 0, ...text, ...data);
}

describe('npy and npz', () => {
  it('gives back what was written', async () => {
    await fc.assert(
      fc.asyncProperty(tensors, tensors, fc.constantFrom<0 | 6>(0, 6), async (a, b, level) => {
        expect(await readNpz(bytesSource(encodeNpz({ a, b }, { level })))).toEqual({ a, b });
      }),
      { numRuns: 50 },
    );
  });

  it('reads a Buffer of Node, whose slices are no copies', async () => {
    const x: HostTensor = { dataType: 'float', dims: [2], data: Float32Array.of(1, 2) };
    const buffer = Buffer.from(encodeNpz({ x }, { level: 0 }));
    expect(await readNpz(bytesSource(buffer))).toEqual({ x });
  });

  it('writes the header that NumPy reads: 64-byte aligned, version 1', () => {
    const bytes = encodeNpy({ dataType: 'int16', dims: [2], data: Int16Array.of(1, 2) });
    expect(bytes.length).toBe(128 + 4);
    expect(new TextDecoder('latin1').decode(bytes.subarray(0, 128))).toBe(
      `\u0093NUMPY\x01\x00v\x00${"{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }".padEnd(117)}\n`,
    );
  });

  it('reads Fortran order and big-endian numbers', async () => {
    const header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
    const file = npy(header, Uint8Array.of(0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 1, 6));
    const reader = await readNpy(bytesSource(file));
    expect(await reader.all()).toEqual({
      dataType: 'int16',
      dims: [2, 3],
      data: Int16Array.of(1, 2, 3, 4, 5, 262),
    });
    expect(await reader.row(1)).toEqual({
      dataType: 'int16',
      dims: [3],
      data: Int16Array.of(4, 5, 262),
    });
  });

  it.each([
    [
      'a short file',
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }", new Uint8Array(35)),
      /\[9\] of float, 36 bytes, but 35 follow/,
    ],
    [
      'a huge shape',
      npy(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
        new Uint8Array(4),
      ),
      /shape/,
    ],
    [
      'objects',
      npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(8)),
      /holds \|O, not plain numbers/,
    ],
    [
      'text',
      npy("{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(12)),
      /<U3/,
    ],
    [
      'records',
      npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4)),
      /a record/,
    ],
    ['no header', npy('{}', new Uint8Array(4)), /cannot be read/],
    ['no npy', Uint8Array.of(1, 2, 3), /not a npy file/],
  ])('refuses %s', async (_, bytes, message) => {
    await expect(readNpy(bytesSource(bytes))).rejects.toThrow(message);
    await expect(readNpy(bytesSource(bytes))).rejects.toMatchObject({ code: 'invalid-data' });
  });

  it('refuses a type that NumPy has not', () => {
    const tensor: HostTensor = { dataType: 'bfloat16', dims: [1], data: Uint16Array.of(1) };
    expect(() => encodeNpy(tensor)).toThrow(/no type for bfloat16/);
  });

  it('never crashes on a damaged npz: reads right or refuses', async () => {
    const good = encodeNpz({
      x: { dataType: 'uint8', dims: [40], data: new Uint8Array(40).fill(7) },
    });
    const wrecks = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(wrecks, fc.nat(good.length), async (changes, cut) => {
        const bytes = good.slice(0, cut % 3 === 0 ? cut : good.length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        await readNpz(bytesSource(bytes)).catch((error) => {
          expect(error).toMatchObject({ name: 'PareError' });
        });
      }),
      { numRuns: 300 },
    );
  });

  it('does not believe a zip that claims more than deflate can hold', async () => {
    const bomb = zipSync({ 'x.npy': new Uint8Array(1000) });
    const view = new DataView(bomb.buffer);
    const directory = view.getUint32(bomb.length - 6, true);
    view.setUint32(directory + 24, 0xfffffff0, true);
    await expect(readNpz(bytesSource(bomb))).rejects.toThrow(/claims 4294967280 bytes/);
  });
});

describe('IDX', () => {
  const images = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4);
  const labels = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 7, 9);
  const file = (path: string, bytes: Uint8Array) => ({
    path,
    open: async () => bytesSource(bytes, path),
  });

  it('reads rows, big-endian', async () => {
    const reader = await readIdx(bytesSource(images));
    expect(reader.dims).toEqual([2, 1, 2]);
    expect(await reader.row(1)).toEqual({
      dataType: 'uint8',
      dims: [1, 2],
      data: Uint8Array.of(3, 4),
    });
    const shorts = Uint8Array.of(0, 0, 11, 1, 0, 0, 0, 1, 1, 2);
    expect((await (await readIdx(bytesSource(shorts))).all()).data).toEqual(Int16Array.of(258));
  });

  it('joins images and labels, plain or gzipped, train and test as parts', async () => {
    const files = [
      file('t10k-images-idx3-ubyte.gz', gzipSync(images)),
      file('t10k-labels-idx1-ubyte.gz', gzipSync(labels)),
      file('train-images-idx3-ubyte', images),
      file('train-labels-idx1-ubyte', labels),
    ];
    const ports = [{ name: 'x', dataType: 'float', dims: ['N', 1, 1, 2] }] as const;
    const test = await openDataset({ name: 'mnist', files: files.slice(0, 2) }, { ports });
    const samples = await collect(test.samples());
    expect(samples.map(({ label }) => label)).toEqual([7, 9]);
    expect(samples[1]!.inputs.x).toEqual({
      dataType: 'float',
      dims: [1, 1, 2],
      data: Float32Array.of(3, 4),
    });
    const both = await openDataset({ name: 'mnist', files }, { ports });
    expect(both).toMatchObject({
      size: 4,
      parts: { train: { start: 0, end: 2 }, test: { start: 2, end: 4 } },
    });
  });

  it('refuses a wrong magic and missing bytes', async () => {
    expect(isIdx(Uint8Array.of(0, 0, 10, 1))).toBe(false);
    await expect(readIdx(bytesSource(Uint8Array.of(0, 0, 10, 1)))).rejects.toThrow(
      /starts with 00 00 0a 01/,
    );
    await expect(readIdx(bytesSource(images.subarray(0, 19)))).rejects.toThrow(
      /4 bytes, but 3 follow/,
    );
    await expect(readIdx(bytesSource(images.subarray(0, 9)))).rejects.toThrow(/ends in its header/);
    const cut = gzipSync(images).subarray(0, 30);
    await expect(openDataset(bytesSource(cut))).rejects.toMatchObject({ code: 'invalid-data' });
  });
});

describe('arrays as samples', () => {
  const x: HostTensor = {
    dataType: 'float',
    dims: [3, 2],
    data: Float32Array.of(1, 2, 3, 4, 5, 6),
  };
  const y: HostTensor = { dataType: 'int64', dims: [3], data: BigInt64Array.of(0n, 2n, 1n) };
  const port = (name: string, dims: readonly (number | string)[]) =>
    ({ name, dataType: 'float', dims }) as const;

  it('feeds inputs by name, the only array to the only input, labels aside', async () => {
    const dataset = await openDataset(bytesSource(encodeNpz({ anything: x, y })), {
      ports: [port('in', ['N', 2])],
      preprocess: { labelMap: [5, 6, 7] },
    });
    const samples = await collect(dataset.samples([2, 0]));
    expect(samples).toEqual([
      {
        id: '2',
        label: 6,
        inputs: { in: { dataType: 'float', dims: [2], data: Float32Array.of(5, 6) } },
      },
      {
        id: '0',
        label: 5,
        inputs: { in: { dataType: 'float', dims: [2], data: Float32Array.of(1, 2) } },
      },
    ]);
  });

  it('names what is not used and what does not fit', async () => {
    const both = encodeNpz({ a: x, b: x });
    const dataset = await openDataset(bytesSource(both), { ports: [port('a', ['N', 2])] });
    expect(dataset.notes).toEqual(['array "b" feeds no input of the model and is not used']);
    await expect(openDataset(bytesSource(both), { ports: [port('in', ['N', 2])] })).rejects.toThrow(
      /"a", "b".*"in" float \[N,2\]/,
    );
    const uneven = encodeNpz({ x, y: { ...y, dims: [2], data: BigInt64Array.of(0n, 1n) } });
    await expect(openDataset(bytesSource(uneven))).rejects.toThrow(/"x" \[3,2\], labels \[2\]/);
    const oneHot = encodeNpz({ x, y: { ...x } });
    await expect(openDataset(bytesSource(oneHot))).rejects.toMatchObject({
      hint: expect.stringMatching(/argmax/),
    });
  });

  it('has a fingerprint of the content, equal for equal bytes', async () => {
    const open = (value: HostTensor) => openDataset(bytesSource(encodeNpz({ value })));
    const [a, b, c] = await Promise.all([
      open(x),
      open(x),
      open({ ...x, data: new Float32Array(6) }),
    ]);
    expect(await a.fingerprint()).toMatch(/^[0-9a-f]{64}$/);
    expect(await a.fingerprint()).toBe(await b.fingerprint());
    expect(await a.fingerprint()).not.toBe(await c.fingerprint());
  });
});

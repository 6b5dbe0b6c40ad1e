import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PareError } from '../errors.js';
import type { PortInfo } from './engine.js';
import { float32Of, hostTensor, randomFeeds, sameShape } from './host-tensor.js';

describe('hostTensor', () => {
  it('keeps the array and copies the dims', () => {
    const dims = [2, 1];
    const data = Float32Array.of(1, 2);
    const tensor = hostTensor('float', dims, data);
    dims[0] = 9;
    expect(tensor).toEqual({ dataType: 'float', dims: [2, 1], data });
    expect(tensor.data).toBe(data);
  });

  it('refuses what does not fit', () => {
    expect(() => hostTensor('float', [2], new Float64Array(2))).toThrow(
      'float needs Float32Array, got Float64Array',
    );
    expect(() => hostTensor('float', [2], ['a', 'b'])).toThrow(PareError);
    expect(() => hostTensor('string', [2], new Uint8Array(2))).toThrow('an array of strings');
    expect(() => hostTensor('float', [3], new Float32Array(2))).toThrow('2 elements');
    expect(() => hostTensor('float', [-1, -2], new Float32Array(2))).toThrow('-1 in dims');
    expect(() => hostTensor('complex64', [0], new Float32Array(0))).toThrow('complex64');
  });
});

describe('float32Of', () => {
  it('reads every numeric type', () => {
    const read = (...args: Parameters<typeof hostTensor>) => [...float32Of(hostTensor(...args))];
    expect(read('float16', [3], Uint16Array.of(0x3c00, 0xc000, 0x0001))).toEqual([1, -2, 2 ** -24]);
    expect(read('bfloat16', [2], Uint16Array.of(0x3f80, 0xc000))).toEqual([1, -2]);
    expect(read('uint16', [1], Uint16Array.of(65535))).toEqual([65535]);
    expect(read('int64', [2], BigInt64Array.of(-3n, 7n))).toEqual([-3, 7]);
    expect(read('double', [1], Float64Array.of(0.1))).toEqual([Math.fround(0.1)]);
    expect(read('bool', [2], Uint8Array.of(1, 0))).toEqual([1, 0]);
    expect(read('int8', [1], Int8Array.of(-128))).toEqual([-128]);
  });

  it('names what cannot be read', () => {
    expect(() => float32Of(hostTensor('string', [1], ['x']))).toThrow('string');
    expect(() => float32Of(hostTensor('float8e5m2', [1], new Uint8Array(1)))).toThrow('float8e5m2');
  });
});

it('sameShape compares rank and dims', () => {
  expect(sameShape({ dims: [2, 3] }, { dims: [2, 3] })).toBe(true);
  expect(sameShape({ dims: [] }, { dims: [] })).toBe(true);
  expect(sameShape({ dims: [2, 3] }, { dims: [3, 2] })).toBe(false);
  expect(sameShape({ dims: [1] }, { dims: [] })).toBe(false);
});

describe('randomFeeds', () => {
  const port = (
    name: string,
    dataType: PortInfo['dataType'],
    dims: PortInfo['dims'],
  ): PortInfo => ({
    name,
    dataType,
    dims,
  });

  it('chooses open dims: first 1, others 8, or as told', () => {
    const ports = [port('x', 'float', ['N', 'T', '']), port('m', 'int64', ['T', 2])];
    const dimsOf = (feeds: ReturnType<typeof randomFeeds>) =>
      Object.values(feeds).map(({ dims }) => dims);
    expect(dimsOf(randomFeeds(ports))).toEqual([
      [1, 8, 8],
      [1, 2],
    ]);
    expect(dimsOf(randomFeeds(ports, { dims: { T: 5, N: 3 } }))).toEqual([
      [3, 5, 8],
      [5, 2],
    ]);
    expect(dimsOf(randomFeeds(ports, { dims: { m: [4, 2] } }))).toEqual([
      [1, 8, 8],
      [4, 2],
    ]);
  });

  it('is the same for the same seed, and in the range of its type', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const ports = [
          port('f', 'float', [9]),
          port('h', 'float16', [9]),
          port('i', 'int32', [9]),
          port('l', 'uint64', [9]),
          port('b', 'bool', [9]),
          port('s', 'string', [9]),
        ];
        const feeds = randomFeeds(ports, { seed });
        expect(randomFeeds(ports, { seed })).toEqual(feeds);
        expect(float32Of(feeds.h!).every(Number.isFinite)).toBe(true);
        for (const value of feeds.i!.data) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThan(10);
        }
        expect([...feeds.b!.data].every((bit) => bit === 0 || bit === 1)).toBe(true);
      }),
      { numRuns: 20 },
    );
    const x = [port('x', 'float', [9])];
    expect(randomFeeds(x, { seed: 1 })).not.toEqual(randomFeeds(x, { seed: 2 }));
  });

  it('names an input that it cannot make', () => {
    expect(() => randomFeeds([port('q', undefined, undefined)])).toThrow('"q" of no tensor type');
    expect(() => randomFeeds([port('w', 'int4', [2])])).toThrow('"w" int4[2]');
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostTensor } from '../engine/host-tensor.js';
import { augmentImage, augmentOptions, changesNothing, sampleSeed } from './augment.js';

const picture = hostTensor(
  'float',
  [2, 2, 3],
  Float32Array.from({ length: 12 }, (_, i) => i),
);
const options = (given: object) => augmentOptions.parse(given);
const seeds = Array.from({ length: 200 }, (_, i) => sampleSeed(1, 0, i));

test('without flip and shift nothing changes', () => {
  expect(changesNothing(options({}))).toBe(true);
  expect(augmentImage(picture, options({}), 7).data).toEqual(picture.data);
});

test('a flip mirrors every row of every channel, in about half of the cases', () => {
  const mirrored = [2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9];
  const results = seeds.map((seed) => [
    ...augmentImage(picture, options({ flip: true }), seed).data,
  ]);
  const flips = results.filter((data) => data[0] === 2);
  for (const data of results) expect([[...picture.data], mirrored]).toContainEqual(data);
  expect(flips.length).toBeGreaterThan(70);
  expect(flips.length).toBeLessThan(130);
});

test('a shift moves the picture and repeats its border, alike in both layouts', () => {
  const tall = hostTensor('float', [1, 3, 1], new Float32Array([1, 2, 3]));
  const shifted = seeds.map((seed) =>
    [...augmentImage(tall, options({ shift: 1 }), seed).data].join(),
  );
  expect(new Set(shifted)).toEqual(new Set(['1,2,3', '1,1,2', '2,3,3']));
  const rows = hostTensor('float', [2, 2, 1], new Float32Array([1, 2, 3, 4]));
  const planes = hostTensor('float', [1, 2, 2], new Float32Array([1, 2, 3, 4]));
  for (const seed of seeds) {
    const last = augmentImage(rows, options({ shift: 1, layout: 'NHWC' }), seed);
    expect(last.data).toEqual(augmentImage(planes, options({ shift: 1 }), seed).data);
  }
});

test('a sound moves along its time alone', () => {
  const rows = hostTensor('float', [1, 3, 2], new Float32Array([1, 10, 2, 20, 3, 30]));
  const given = options({ shift: 1, shiftAlong: 'height' });
  const shifted = new Set(seeds.map((seed) => [...augmentImage(rows, given, seed).data].join()));
  expect(shifted).toEqual(new Set(['1,10,2,20,3,30', '1,10,1,10,2,20', '2,20,3,30,3,30']));
  const other = options({ shift: 1, shiftAlong: 'width', layout: 'NHWC' });
  for (const seed of seeds) {
    const { data } = augmentImage(picture, other, seed);
    // The rows of a picture of 2 by 2 pixels in three channels do not mix.
    for (const value of [...data].slice(0, 6)) expect(Number(value)).toBeLessThan(6);
  }
});

test('the same seed gives the same picture, and no number is invented', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 5 }), fc.boolean(), (seed, shift, flip) => {
      const given = options({ shift, flip });
      const once = augmentImage(picture, given, seed);
      expect(augmentImage(picture, given, seed).data).toEqual(once.data);
      expect(once.dims).toEqual(picture.dims);
      for (const value of once.data as Float32Array) expect([...picture.data]).toContain(value);
    }),
  );
});

test('seeds of different runs, epochs and samples differ', () => {
  const all = new Set<number>();
  for (const run of [0, 1]) {
    for (let epoch = 0; epoch < 10; epoch++) {
      for (let sample = 0; sample < 100; sample++) all.add(sampleSeed(run, epoch, sample));
    }
  }
  expect(all.size).toBe(2000);
});

test('what is no picture is refused', () => {
  const tokens = hostTensor('int64', [4], new BigInt64Array(4));
  expect(() => augmentImage(tokens, options({ flip: true }), 0)).toThrow(/int64 \[4\]/);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parametersOf } from '../static/parameters.js';
import { isWhole, rawRange, rawScale } from './raw-scale.js';

const dataTypes = fc.constantFrom('uint8' as const, 'int8' as const);
const scales = fc.double({ min: 1e-4, max: 2, noNaN: true });
const means = fc.double({ min: -3, max: 3, noNaN: true });
const stds = fc.double({ min: 0.05, max: 4, noNaN: true });

test('step, zero point and rest together are the preprocessing, for every raw value', () => {
  const perChannel = (each: fc.Arbitrary<number>) => fc.array(each, { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(
      dataTypes,
      scales,
      perChannel(means),
      perChannel(stds),
      (type, scale, mean, std) => {
        const raw = rawScale({ scale, mean, std }, type);
        const [low, high] = rawRange(type);
        expect(raw.zeroPoint).toBeGreaterThanOrEqual(low);
        expect(raw.zeroPoint).toBeLessThanOrEqual(high);
        for (let c = 0; c < 3; c++) {
          const at = (list: Float64Array) => list[list.length === 1 ? 0 : c]!;
          for (const p of [low, 0, 7, high]) {
            const value = (p - raw.zeroPoint) * raw.scale * at(raw.factor) + at(raw.shift);
            const expected = (p * scale - mean[c]!) / std[c]!;
            const step = scale / std[c]!;
            expect(Math.abs(value - expected)).toBeLessThan(1e-4 * (step + Math.abs(expected)));
          }
        }
      },
    ),
  );
});

test.each([
  ['unit', { scale: 1 / 255, mean: [0], std: [1] }, 'uint8', 0],
  ['mean 83, int8', { scale: 1, mean: [83], std: [1.7] }, 'int8', 83],
  ['alike in all channels', { scale: 1 / 255, mean: [0.2, 0.2], std: [0.5, 0.5] }, 'uint8', 51],
] as const)('%s: nothing is left to fold', (_, affine, type, zeroPoint) => {
  const raw = rawScale(affine, type);
  expect(isWhole(raw)).toBe(true);
  expect(raw.zeroPoint).toBe(zeroPoint);
});

test('half a step of zero point is a shift', () => {
  const raw = rawScale({ scale: 1 / 127.5, mean: [1], std: [1] }, 'uint8');
  expect(raw.zeroPoint).toBe(128);
  expect(raw.shift[0]).toBeCloseTo(0.5 / 127.5, 10);
});

test('a negative step is a factor of -1', () => {
  const raw = rawScale({ scale: 1, mean: [0], std: [-2] }, 'uint8');
  expect([raw.scale, ...raw.factor]).toEqual([0.5, -1]);
});

test('static quantization finds scale and zero point again from the range', () => {
  const float = fc.float({ min: Math.fround(1e-6), max: 1000, noNaN: true });
  fc.assert(
    fc.property(float, fc.integer({ min: 0, max: 255 }), (scale, zeroPoint) => {
      const range = { min: (0 - zeroPoint) * scale, max: (255 - zeroPoint) * scale };
      expect(parametersOf(range, 'uint8', false)).toEqual({ dataType: 'uint8', scale, zeroPoint });
    }),
  );
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dequantizeLinear, quantizeLinear } from '../kernels.js';
import {
  type ActivationType,
  insideBounds,
  integerRange,
  parametersOf,
  representedRange,
} from './parameters.js';

const f = Math.fround;
const of = (min: number, max: number, dataType: ActivationType, symmetric = false) => {
  const { scale, zeroPoint } = parametersOf({ min, max }, dataType, symmetric);
  return [zeroPoint, scale];
};

// The vectors that ONNX Runtime tests its compute_scale_zp with, for the ranges of its types.
describe('scale and zero point of a range', () => {
  test('symmetric', () => {
    expect(of(-1, 2, 'int8', true)).toEqual([0, f(4 / 254)]);
    expect(of(-1, 2, 'uint8', true)).toEqual([128, f(4 / 255)]);
    expect(of(-1, 2, 'int16', true)).toEqual([0, f(4 / 65534)]);
    expect(of(-1, 2, 'uint16', true)).toEqual([32768, f(4 / 65535)]);
  });

  test('asymmetric', () => {
    // Theirs is -42 and 3/254 over -127..127; asymmetric int8 has all 256 integers here.
    expect(of(-1, 2, 'int8')).toEqual([-43, f(3 / 255)]);
    expect(of(-1, 2, 'uint8')).toEqual([85, f(3 / 255)]);
    expect(of(-1, 2, 'int16')).toEqual([-10923, f(3 / 65535)]);
    expect(of(-1, 2, 'uint16')).toEqual([21845, f(3 / 65535)]);
    // The middle of -1..1 is 127.5 integers from the lowest: a tie, which goes to even.
    expect(of(-1, 1, 'uint8')).toEqual([128, f(2 / 255)]);
  });

  test('the range is widened to hold zero', () => {
    expect(of(2, 5, 'uint8')).toEqual([0, f(5 / 255)]);
    expect(of(-5, -2, 'uint8')).toEqual([255, f(5 / 255)]);
    expect(of(0, 6, 'int8')).toEqual([-128, f(6 / 255)]);
  });

  test('ranges without a step have scale 1, and zero at the lowest integer or in the middle', () => {
    for (const [min, max] of [
      [0, 0],
      [1, -1],
      [0, 1e-43],
      [-1e-40, 1e-40],
    ] as const) {
      expect(of(min, max, 'uint8')).toEqual([0, 1]);
      expect(of(min, max, 'uint16')).toEqual([0, 1]);
      // Theirs is 0 for all types; -128 lets a Relu in front of it go.
      expect(of(min, max, 'int8')).toEqual([-128, 1]);
      expect(of(min, max, 'int8', true)).toEqual([0, 1]);
      expect(of(min, max, 'uint8', true)).toEqual([128, 1]);
    }
  });
});

const cases = fc.record({
  dataType: fc.constantFrom<ActivationType>('uint8', 'int8', 'uint16', 'int16'),
  symmetric: fc.boolean(),
  a: fc.float({ noNaN: true, min: f(-1e30), max: f(1e30) }),
  b: fc.float({ noNaN: true, min: f(-1e30), max: f(1e30) }),
});

test('the scale is a float32, zero is exact, and the ends are off by half a step at most', () => {
  fc.assert(
    fc.property(cases, ({ dataType, symmetric, a, b }) => {
      const range = { min: Math.min(a, b), max: Math.max(a, b) };
      const { scale, zeroPoint } = parametersOf(range, dataType, symmetric);
      const { low, high } = integerRange(dataType, symmetric);
      expect(scale).toBe(f(scale));
      expect(Number.isInteger(zeroPoint)).toBe(true);
      expect(zeroPoint).toBeGreaterThanOrEqual(low);
      expect(zeroPoint).toBeLessThanOrEqual(high);
      const values = Float32Array.of(0, range.min, range.max);
      const codes = quantizeLinear(values, scale, zeroPoint, dataType);
      const back = dequantizeLinear(codes, scale, zeroPoint);
      expect(back[0]! + 0).toBe(0);
      for (const i of [1, 2]) {
        const bound = scale * (0.5 + 2 ** -6);
        expect(Math.abs(back[i]! - values[i]!)).toBeLessThanOrEqual(bound);
      }
    }),
  );
});

describe('inside bounds', () => {
  test('a range from zero to any bound fits it, by the last bit of the scale at most', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: f(1e-3), max: f(1e3) }), (max) => {
        const found = parametersOf({ min: 0, max }, 'uint8', false);
        const inside = insideBounds(found, { min: 0, max })!;
        expect(representedRange(inside).max).toBeLessThanOrEqual(max);
        expect(inside.scale).toBeGreaterThanOrEqual(found.scale * (1 - 2 ** -21));
      }),
    );
  });

  test('a range that is wider by a part of a step does not', () => {
    const found = parametersOf({ min: -1, max: 1 }, 'uint8', false);
    expect(insideBounds(found, { min: -1, max: 1 })).toBeUndefined();
    expect(insideBounds(found, { min: 0, max: Number.POSITIVE_INFINITY })).toBeUndefined();
    expect(insideBounds(found, { min: -2, max: 2 })).toEqual(found);
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exactInt8 } from './exact.js';

function backOf(found: ReturnType<typeof exactInt8>): Float32Array {
  return Float32Array.from(found!.values, (value) => value * found!.scale);
}

test.each([
  [[0, -1e9]],
  [[0, -3.4028234663852886e38]],
  [[-0.7, 0, 0.7]],
  [[0, 0, 0]],
  [[1, 1, 1]],
  [[0.1, 0.2, 0.4]],
  [[2, 3, 5]],
  [[0.5, 1.5, 63.5]],
])('%j comes back bit for bit', (numbers) => {
  const floats = Float32Array.from(numbers);
  expect(backOf(exactInt8(floats))).toEqual(floats);
});

test.each([
  [[-0, 1], 'a negative zero'],
  [[0, Number.NEGATIVE_INFINITY], 'an infinity'],
  [[0, Number.NaN], 'NaN'],
  [[1, 128], 'too many steps'],
  [[1, Math.SQRT2], 'no common step'],
  [Array.from({ length: 300 }, (_, i) => i), 'too many numbers'],
] as [number[], string][])('%j has no exact form: %s', (numbers) => {
  expect(exactInt8(Float32Array.from(numbers))).toBeUndefined();
});

test('multiples of a step are found, and nothing is ever changed', () => {
  const step = fc.float({ min: Math.fround(1e-20), max: Math.fround(1e20), noNaN: true });
  const codes = fc.array(fc.integer({ min: -127, max: 127 }), { minLength: 1 });
  fc.assert(
    fc.property(step, codes, fc.boolean(), (scale, values, withStep) => {
      // With the step itself among them the step is known; without it another may be found or none.
      const floats = Float32Array.from(withStep ? [1, ...values] : values, (q) => q * scale + 0);
      const found = exactInt8(floats);
      if (withStep) expect(found).toBeDefined();
      if (found) expect(backOf(found)).toEqual(floats);
    }),
  );
});

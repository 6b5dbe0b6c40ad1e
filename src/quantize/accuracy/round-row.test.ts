import fc from 'fast-check';
import { expect, test } from 'vitest';
import { roundRow } from './round-row.js';

const rows = fc.integer({ min: 1, max: 8 }).chain((n) =>
  fc.record({
    weights: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: n, maxLength: n }),
    inputs: fc.array(
      fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: n, maxLength: n }),
      { minLength: 1, maxLength: 12 },
    ),
    limit: fc.constantFrom(7, 127),
  }),
);

function covarianceOf(inputs: readonly (readonly number[])[]): Float64Array {
  const n = inputs[0]!.length;
  const sums = new Float64Array(n * n);
  for (const x of inputs) {
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) sums[i * n + j]! += x[i]! * x[j]!;
  }
  return sums;
}

function errorOf(errors: readonly number[], covariance: Float64Array, damping: number): number {
  const n = errors.length;
  return errors.reduce(
    (sum, a, i) =>
      sum + damping * a * a + errors.reduce((s, b, j) => s + a * covariance[i * n + j]! * b, 0),
    0,
  );
}

test('never worse than rounding to nearest, and no single step makes it better', () => {
  fc.assert(
    fc.property(rows, ({ weights, inputs, limit }) => {
      const covariance = covarianceOf(inputs);
      const scale = Math.fround(Math.max(...weights.map(Math.abs), 1e-3) / limit);
      const damping = 0.01;
      const { codes, error, nearestError } = roundRow({
        weights: Float64Array.from(weights),
        scale,
        limit,
        covariance,
        start: 0,
        damping,
        fixed: -1,
      });
      const found = (moved: readonly number[]) =>
        errorOf(
          moved.map((code, i) => code * scale - weights[i]!),
          covariance,
          damping,
        );
      const list = [...codes];
      const slack = 1e-9 * Math.max(1, nearestError);
      expect(error).toBeLessThanOrEqual(nearestError + slack);
      expect(Math.abs(found(list) - error)).toBeLessThanOrEqual(slack);
      for (const [i, code] of list.entries()) {
        for (const other of [code - 1, code + 1]) {
          if (Math.abs(other) > limit) continue;
          expect(found(list.with(i, other))).toBeGreaterThanOrEqual(error - slack);
        }
      }
    }),
    { numRuns: 100 },
  );
});

test('inputs that always come together share one rounding error out', () => {
  // x1 = x2: only the sum of the two weights counts, 0.8 steps, nearest gives 0.
  const row = {
    weights: Float64Array.of(0.4, 0.4, 127),
    scale: 1,
    limit: 127,
    covariance: Float64Array.of(1, 1, 0, 1, 1, 0, 0, 0, 1),
    start: 0,
    damping: 0,
    fixed: 2,
  };
  const { codes, error, nearestError } = roundRow(row);
  expect([...codes].sort((a, b) => a - b)).toEqual([0, 1, 127]);
  expect(nearestError).toBeCloseTo(0.64);
  expect(error).toBeCloseTo(0.04);
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { area, estimate, spearman } from './estimate.js';

describe('estimate', () => {
  test('Student, five seeds: mean +- 2.776 s / sqrt(5)', () => {
    const { mean, interval } = estimate([1, 2, 3, 4, 5]);
    const half = (2.776 * Math.sqrt(2.5)) / Math.sqrt(5);
    expect(mean).toBe(3);
    expect(interval[0]).toBeCloseTo(3 - half, 6);
    expect(interval[1]).toBeCloseTo(3 + half, 6);
  });

  test('beyond the table the quantile is near the published ones', () => {
    // 97.5 % points with 20 and 100 degrees of freedom: 2.086, 1.984.
    for (const [n, t] of [
      [21, 2.086],
      [101, 1.984],
    ] as const) {
      const values = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 : -1));
      const { interval } = estimate(values);
      const mean = values.reduce((a, b) => a + b, 0) / n;
      const spread = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1) / n);
      expect((interval[1] - mean) / spread).toBeCloseTo(t, 1.5);
    }
  });
});

describe('spearman', () => {
  test('ties share a rank', () => {
    // Ranks [0, 1.5, 1.5, 3] against [0, 1, 2, 3]: 4.5 / sqrt(4.5 * 5).
    expect(spearman([1, 2, 2, 9], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(22.5), 12);
    expect(spearman([1, 1, 1], [1, 2, 3])).toBe(0);
  });

  test('only the order counts', () => {
    const list = fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), {
      minLength: 3,
      maxLength: 12,
    });
    fc.assert(
      fc.property(list, (values) => {
        expect(
          spearman(
            values,
            values.map((x) => x ** 3 + 5),
          ),
        ).toBeCloseTo(1, 9);
        expect(
          spearman(
            values,
            values.map((x) => -x),
          ),
        ).toBeCloseTo(-1, 9);
      }),
    );
  });
});

test('area under straight lines', () => {
  expect(area([0, 0.5, 1], [1, 0.5, 0])).toBeCloseTo(0.5, 12);
  expect(area([0, 0.2, 1], [1, 0, 0])).toBeCloseTo(0.1, 12);
});

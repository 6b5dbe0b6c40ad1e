import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  median,
  medianAbsoluteDeviation,
  medianInterval,
  pairedDrop,
  quantile,
  rate,
} from './statistics.js';

describe('rate', () => {
  test('has the Wilson interval of published tables', () => {
    // Newcombe, Statistics in Medicine 17 (1998), table I: 81/263, 15/148, 0/20, 1/29.
    const rows = [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const;
    for (const [count, n, low, high] of rows) {
      const { interval } = rate(count, n);
      expect(interval[0]).toBeCloseTo(low, 4);
      expect(interval[1]).toBeCloseTo(high, 4);
    }
  });

  test('holds its share, inside [0, 1]', () => {
    const counts = fc.nat(1000).chain((n) => fc.tuple(fc.nat(n), fc.constant(n)));
    fc.assert(
      fc.property(counts, ([count, n]) => {
        const { share, interval } = rate(count, n);
        expect(interval[0]).toBeGreaterThanOrEqual(0);
        expect(interval[1]).toBeLessThanOrEqual(1);
        expect(interval[0]).toBeLessThanOrEqual(share);
        expect(interval[1]).toBeGreaterThanOrEqual(share);
      }),
    );
  });

  test('knows nothing without samples', () => {
    expect(rate(0, 0)).toEqual({ count: 0, n: 0, share: 0, interval: [0, 1] });
  });
});

test('pairedDrop is the mean and standard error of the paired differences', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.nat(40), fc.nat(40), (lost, gained, same) => {
      const differences = [
        ...new Array<number>(lost).fill(1),
        ...new Array<number>(gained).fill(-1),
        ...new Array<number>(same).fill(0),
      ];
      const n = differences.length;
      fc.pre(n > 0);
      const mean = differences.reduce((sum, d) => sum + d, 0) / n;
      const variance = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / n;
      const drop = pairedDrop(lost, gained, n);
      expect(drop.points).toBeCloseTo(100 * mean, 9);
      expect(drop.standardError).toBeCloseTo(100 * Math.sqrt(variance / n), 9);
    }),
  );
});

test('quantiles are linear between values', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([10, 20], 0.1)).toBeCloseTo(11);
  expect(median([5])).toBe(5);
  expect(median([])).toBeNaN();
  expect(medianAbsoluteDeviation([1, 1, 2, 2, 4, 6, 9])).toBe(1);
});

describe('medianInterval', () => {
  test('does not exist below six values', () => {
    expect(medianInterval([1, 2, 3, 4, 5])).toBeUndefined();
  });

  test('has the ranks of the sign test', () => {
    // Binomial tables at 2.5 % a side: n 6: 1 and 6, 10: 2 and 9, 20: 6 and 15, 50: 18 and 33.
    for (const [n, low, high] of [
      [6, 1, 6],
      [10, 2, 9],
      [20, 6, 15],
      [50, 18, 33],
    ] as const) {
      const values = Array.from({ length: n }, (_, i) => n - i);
      expect(medianInterval(values)).toEqual([low, high]);
    }
  });
});

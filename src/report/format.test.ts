import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatClock,
  formatCount,
  formatDb,
  formatInteger,
  formatMs,
  formatPercent,
  formatPoints,
  formatRatio,
  formatSigned,
} from './format.js';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [3_412_000, '3.41 MB'],
    [34_120_000, '34.1 MB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [2 ** 31, '2.15 GB'],
    [5e15, '5000 TB'],
    [-3_412_000, '-3.41 MB'],
    [Number.NaN, 'n/a'],
    [Number.POSITIVE_INFINITY, 'inf B'],
  ])('%d is %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('never shows four digits before the largest unit, and is within half a percent', () => {
    const factors: Record<string, number> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9e14 }), (bytes) => {
        const [digits, unit] = formatBytes(bytes).split(' ') as [string, string];
        expect(Number(digits)).toBeLessThan(1000);
        expect(Math.abs(Number(digits) * factors[unit]! - bytes)).toBeLessThanOrEqual(
          bytes * 0.005,
        );
      }),
    );
  });
});

describe('other numbers', () => {
  it.each([
    [formatCount(0), '0'],
    [formatCount(9876), '9,876'],
    [formatCount(10_000), '10 k'],
    [formatCount(1_200_000), '1.2 M'],
    [formatCount(1_234_567), '1.23 M'],
    [formatCount(999_600), '1 M'],
    [formatInteger(-1_234_567), '-1,234,567'],
    [formatInteger(100), '100'],
    [formatMs(0.12345), '0.123 ms'],
    [formatMs(0.9996), '1.00 ms'],
    [formatMs(12.34), '12.3 ms'],
    [formatMs(999.6), '1.00 s'],
    [formatMs(12_345), '12.3 s'],
    [formatClock(0), '0:00'],
    [formatClock(59_700), '1:00'],
    [formatClock(3_725_000), '1:02:05'],
    [formatRatio(2.314), '2.31x'],
    [formatRatio(9.996), '10.0x'],
    [formatRatio(123.4), '123x'],
    [formatPercent(0.98442), '98.44 %'],
    [formatPercent(0.5, 0), '50 %'],
    [formatPercent(-0.00001), '0.00 %'],
    [formatPoints(0.5), '0.50 points'],
    [formatDb(34.21), '34.2 dB'],
    [formatDb(Number.POSITIVE_INFINITY), 'inf dB'],
    [formatDb(Number.NaN), 'n/a'],
  ])('%s', (actual, expected) => expect(actual).toBe(expected));

  it('signs differences, except those that round to zero', () => {
    expect(formatSigned(3_412_000, formatBytes)).toBe('+3.41 MB');
    expect(formatSigned(-0.42, formatPoints)).toBe('-0.42 points');
    expect(formatSigned(-0.001, formatPoints)).toBe('0.00 points');
    expect(formatSigned(Number.NEGATIVE_INFINITY, formatDb)).toBe('-inf dB');
    expect(formatSigned(Number.NaN, formatDb)).toBe('n/a');
  });
});

import { describe, expect, test } from 'vitest';
import {
  brokenLimits,
  checkPromise,
  coarseness,
  defaultPromise,
  loosen,
  promiseText,
} from './promise.js';

describe('brokenLimits', () => {
  const promise = { maxDrop: 0.5, maxFlips: 1, minSnr: 30 };

  test('keeps a promise at its limit', () => {
    expect(brokenLimits(promise, { drop: 0.5, flips: 1, snr: 30 })).toEqual([]);
    expect(brokenLimits(promise, { drop: -2, flips: 0, snr: Number.POSITIVE_INFINITY })).toEqual(
      [],
    );
    expect(brokenLimits({}, {})).toEqual([]);
  });

  test('tells every limit that is broken', () => {
    expect(brokenLimits(promise, { drop: 0.51, flips: 1.5, snr: 29.96 })).toEqual([
      'drops 0.51 points, 0.5 allowed',
      'flips 1.50 %, 1 % allowed',
      'SNR is 30.0 dB, 30 dB required',
    ]);
  });

  test('never takes NaN for kept', () => {
    const quality = { drop: Number.NaN, flips: Number.NaN, snr: Number.NaN };
    expect(brokenLimits(promise, quality)).toHaveLength(3);
    expect(brokenLimits({ minSnr: 0 }, { snr: Number.NEGATIVE_INFINITY })).toEqual([
      'outputs have no SNR (NaN, infinite or whole numbers that differ), 0 dB required',
    ]);
  });

  test.each([
    [{ maxDrop: 1 }, 'max-drop', 'no labels'],
    [{ maxFlips: 1 }, 'max-flips', 'no classes'],
    [{ minSnr: 1 }, 'min-snr', 'no output'],
  ])('%o cannot be judged without its measurement', (limits, flag, hint) => {
    const error = expect.objectContaining({
      code: 'usage',
      message: `optimize: --${flag} cannot be measured on this model and data`,
      hint: expect.stringContaining(hint),
    });
    expect(() => brokenLimits(limits, {})).toThrow(error);
  });
});

test('a limit that cannot be measured is known before anything is', () => {
  const all = { labels: true, classes: true };
  checkPromise({ maxDrop: 1, maxFlips: 1, minSnr: 1 }, all);
  checkPromise({ minSnr: 1 }, { labels: false, classes: false });
  checkPromise({ maxFlips: 1 }, { ...all, labels: false });
  expect(() => checkPromise({ maxDrop: 1 }, { ...all, labels: false })).toThrow('--max-drop');
  expect(() => checkPromise({ maxDrop: 1 }, { ...all, classes: false })).toThrow('--max-drop');
  expect(() => checkPromise({ maxFlips: 1 }, { ...all, classes: false })).toThrow('--max-flips');
});

test('the default promise can always be measured', () => {
  for (const labels of [true, false]) {
    for (const classes of [true, false]) {
      const promise = defaultPromise({ labels, classes });
      expect(Object.keys(promise)).toHaveLength(1);
      checkPromise(promise, { labels, classes });
    }
  }
});

test('says when one sample decides', () => {
  expect(coarseness({ maxDrop: 0.5 }, 100)).toMatch(/^one of 100 samples is 1\.0 points/);
  expect(coarseness({ maxDrop: 5, maxFlips: 0.1 }, 500)).toContain('more than the 0.1 allowed');
  expect(coarseness({ maxFlips: 1 }, 1)).toMatch(/^the only sample is/);
  expect(coarseness({ maxDrop: 0.5 }, 200)).toBeUndefined();
  expect(coarseness({ maxDrop: 0 }, 10)).toBeUndefined();
  expect(coarseness({ minSnr: 30 }, 1)).toBeUndefined();
});

test('loosened, one sample more may be lost and no limit appears', () => {
  expect(loosen({ maxDrop: 0.5 }, 50)).toEqual({ maxDrop: 2.5 });
  expect(loosen({ maxFlips: 1, minSnr: 30 }, 100)).toEqual({ maxFlips: 2, minSnr: 30 });
});

test('reads as a sentence', () => {
  expect(promiseText({ maxDrop: 0.5, maxFlips: 1, minSnr: 30 })).toBe(
    'at most 0.5 points lost, at most 1 % of predictions changed, SNR of at least 30 dB',
  );
});

import { describe, expect, test } from 'vitest';
import { choose, type Goal, type Measured } from './choose.js';

const original = { sizeBytes: 1000 };

/** A candidate with a speed-up known to one percent, unless told otherwise. */
function candidate(
  name: string,
  sizeBytes: number,
  speed?: number | Measured['speedUp'],
  quality: Measured['quality'] = {},
): Measured {
  const speedUp =
    typeof speed === 'number' ? { median: speed, low: speed * 0.99, high: speed * 1.01 } : speed;
  return { name, sizeBytes, speedUp, quality };
}

const small = candidate('small', 250, 1);
const fast = candidate('fast', 500, 3);
const both = candidate('both', 300, 2.5);

describe('the winner', () => {
  test.each<[Goal, string]>([
    ['size', 'small'],
    ['latency', 'fast'],
    // 3 / 500 < 2.5 / 300, 1 / 250 < 2.5 / 300
    ['balanced', 'both'],
  ])('for %s is "%s", in whatever order', (goal, winner) => {
    expect(choose(original, [small, fast, both], {}, goal).winner).toBe(winner);
    expect(choose(original, [both, fast, small], {}, goal).winner).toBe(winner);
  });

  test('for latency is the smaller one of two that are equally fast', () => {
    const rows = [candidate('large', 900, 2.02), candidate('small', 250, 2)];
    expect(choose(original, rows, {}, 'latency').winner).toBe('small');
    expect(choose(original, rows.toReversed(), {}, 'latency').winner).toBe('small');
  });

  test('is the first of equals', () => {
    const twins = [candidate('first', 250, 2), candidate('second', 250, 2)];
    for (const goal of ['size', 'latency', 'balanced'] as const) {
      expect(choose(original, twins, {}, goal).winner).toBe('first');
    }
  });

  test('can be chosen by size alone where speed was not measured', () => {
    expect(choose(original, [candidate('a', 300), candidate('b', 200)], {}, 'balanced')).toEqual({
      winner: 'b',
      verdicts: [
        { name: 'a', kept: true, reasons: [] },
        { name: 'b', kept: true, reasons: [] },
      ],
    });
  });

  test('is none of no candidates', () => {
    expect(choose(original, [], {}, 'size')).toEqual({ winner: undefined, verdicts: [] });
  });
});

describe('rejected', () => {
  const reasonsOf = (row: Measured, promise = {}) => {
    const { winner, verdicts } = choose(original, [row], promise, 'balanced');
    expect(winner).toBe(verdicts[0]!.kept ? row.name : undefined);
    return verdicts[0]!.reasons;
  };

  test('is what is neither smaller nor faster', () => {
    const useless = ['neither smaller nor faster than the original'];
    expect(reasonsOf(candidate('same', 1000, 1))).toEqual(useless);
    expect(reasonsOf(candidate('one percent off', 990, 1))).toEqual(useless);
    expect(reasonsOf(candidate('unmeasured', 1000))).toEqual(useless);
    expect(reasonsOf(candidate('three percent off', 970, 1))).toEqual([]);
    expect(reasonsOf(candidate('faster', 1000, 1.1))).toEqual([]);
  });

  test('is a speed-up that may be chance', () => {
    const chance = { median: 1.2, low: 0.9, high: 1.5 };
    expect(reasonsOf(candidate('noisy', 1000, chance))).toEqual([
      'neither smaller nor faster than the original',
    ]);
  });

  test('is what is slower beyond doubt, however small', () => {
    expect(reasonsOf(candidate('slow', 100, 0.5))).toEqual([
      'runs at 0.50 times the speed of the original',
    ]);
    const doubtful = { median: 0.9, low: 0.7, high: 1.1 };
    expect(reasonsOf(candidate('doubtful', 100, doubtful))).toEqual([]);
    expect(reasonsOf(candidate('a little', 100, 0.98))).toEqual([]);
  });

  test('is what breaks the promise, with all its reasons', () => {
    const lossy = candidate('lossy', 1000, 0.5, { drop: 2, flips: 3 });
    expect(reasonsOf(lossy, { maxDrop: 0.5, maxFlips: 1 })).toEqual([
      'drops 2.00 points, 0.5 allowed',
      'flips 3.00 %, 1 % allowed',
      'runs at 0.50 times the speed of the original',
    ]);
  });

  test('does not win over what keeps it', () => {
    const rows = [
      candidate('lossy', 100, 5, { drop: 2 }),
      candidate('good', 900, 1, { drop: 0.1 }),
    ];
    expect(choose(original, rows, { maxDrop: 0.5 }, 'latency').winner).toBe('good');
  });
});

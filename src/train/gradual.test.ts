/**
 * The schedule and the choice of gradual pruning, by property; that zeros stay in training, and
 * that a stopped run goes on alike, is in finetune.test.ts.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostTensor } from '../engine/host-tensor.js';
import { cubicSparsity, GradualPruning } from './gradual.js';
import { gradualOptions } from './gradual-options.js';

const share = fc.double({ min: 0, max: 1, noNaN: true });
const tensor = (numbers: readonly number[]) =>
  hostTensor('float', [numbers.length], Float32Array.from(numbers));
const zeros = (data: ArrayLike<number>) => Array.from(data).filter((w) => w === 0).length;

/** Whole numbers: no two scores are nearly equal. */
const layer = fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 1, maxLength: 40 });
const layers = fc.array(layer, { minLength: 1, maxLength: 4 });

function pruningOf(all: readonly (readonly number[])[], given: object, steps: number) {
  const options = gradualOptions.parse({ sparsity: 0.99, ...given });
  const weights = new Map(all.map((numbers, at) => [`w${at}`, tensor(numbers)]));
  return { weights, pruning: new GradualPruning(weights, options as never, steps) };
}

test('the schedule begins and ends where it should, and falls off in between', () => {
  fc.assert(
    fc.property(share, share, share, share, (a, b, s, t) => {
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      expect(cubicSparsity(start, end, 0)).toBeCloseTo(start, 12);
      expect(cubicSparsity(start, end, 1)).toBe(end);
      const [early, late] = [Math.min(s, t), Math.max(s, t)].map((time) =>
        cubicSparsity(start, end, time),
      );
      expect(late!).toBeGreaterThanOrEqual(early! - 1e-12);
    }),
  );
});

describe('entries that leave', () => {
  test('are as many as asked in the end, the smallest, and never come back', () => {
    fc.assert(
      fc.property(layers, fc.integer({ min: 2, max: 300 }), share, (all, steps, until) => {
        const total = all.flat().length;
        const options = { sparsityUntil: Math.min(0.99, Math.max(0.01, until)) };
        const { weights, pruning } = pruningOf(all, options, steps);
        expect(pruning.lastStep).toBeLessThan(steps);
        let current = Object.fromEntries(weights);
        for (let step = 0; step < steps; step++) {
          if (!pruning.isDue(step)) continue;
          const after = pruning.leave(step, current);
          for (const [name, { data }] of after) {
            const before = current[name]!.data as Float32Array;
            before.forEach((w, at) => {
              expect([0, w]).toContain((data as Float32Array)[at]);
            });
          }
          current = Object.fromEntries(after);
        }
        const left = Object.values(current).flatMap(({ data }) => Array.from(data as Float32Array));
        expect(zeros(left)).toBe(Math.max(zeros(all.flat()), Math.round(0.99 * total)));
        const gone = all.flat().filter((_, at) => left[at] === 0);
        const least = Math.min(...left.filter((w) => w !== 0).map(Math.abs));
        for (const w of gone) expect(Math.abs(w)).toBeLessThanOrEqual(least);
      }),
      { numRuns: 40 },
    );
  });

  test('are shared out by layer where that is asked', () => {
    const all = [Array.from({ length: 10 }, (_, i) => i + 1), [100, 200, 300, 400]];
    const { weights, pruning } = pruningOf(all, { sparsity: 0.5, sparsityScope: 'layer' }, 10);
    const after = pruning.leave(pruning.lastStep, Object.fromEntries(weights));
    expect(Array.from(after.values(), ({ data }) => zeros(data as Float32Array))).toEqual([5, 2]);
  });

  test('cannot be fewer than have left already', () => {
    expect(() => pruningOf([[0, 0, 0, 1]], { sparsity: 0.5 }, 10)).toThrow(
      /75.0 % .* zero already/,
    );
  });
});

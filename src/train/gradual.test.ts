/**
 * The schedule and the choice of gradual pruning, by property; that zeros stay in training, and
 * that a stopped run goes on alike, is in finetune.test.ts.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HostTensor } from '../engine/engine.js';
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

  test('are those that matter least where gradients are known, however layers are scaled', () => {
    const squares = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(layer, layer, squares, fc.integer({ min: 1, max: 6 }), (a, b, all, shift) => {
        // What is 2^shift times as large gets gradients that much smaller.
        const factor = 2 ** shift;
        const leftOf = (scale: number) => {
          const own = { sparsity: 0.5, sparsityCriterion: 'hessian' as const };
          const options = gradualOptions.parse(own);
          const scaled = a.map((w) => w * scale);
          const weights = new Map([scaled, b].map((numbers, at) => [`w${at}`, tensor(numbers)]));
          const state: Record<string, HostTensor> = {
            ...Object.fromEntries(weights),
            s0: tensor(all.slice(0, a.length).map((square) => square / scale ** 2)),
            s1: tensor(all.slice(0, b.length)),
          };
          const names = new Map([
            ['w0', 's0'],
            ['w1', 's1'],
          ]);
          if (zeros([...scaled, ...b]) > 0.5 * (a.length + b.length)) return undefined;
          const pruning = new GradualPruning(weights, options as never, 10, names);
          const after = [...pruning.leave(pruning.lastStep, state).values()];
          const scores = [scaled, b].flatMap((numbers, layerAt) =>
            numbers.map((w, at) => w * w * Number(state[`s${layerAt}`]!.data[at])),
          );
          const kept = after.flatMap(({ data }) => Array.from(data as Float32Array));
          const least = Math.min(...scores.filter((_, at) => kept[at] !== 0));
          for (const [at, score] of scores.entries()) {
            if (kept[at] === 0) expect(score).toBeLessThanOrEqual(least);
          }
          return kept.map((w) => w === 0);
        };
        expect(leftOf(factor)).toEqual(leftOf(1));
      }),
      { numRuns: 60 },
    );
    const options = gradualOptions.parse({ sparsity: 0.5, sparsityCriterion: 'hessian' });
    const weights = new Map([['w', tensor([1, 2])]]);
    expect(() => new GradualPruning(weights, options as never, 10)).toThrow(/mean squares/);
  });

  test('cannot be fewer than have left already', () => {
    expect(() => pruningOf([[0, 0, 0, 1]], { sparsity: 0.5 }, 10)).toThrow(
      /75.0 % .* zero already/,
    );
  });
});

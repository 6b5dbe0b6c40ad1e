import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { sumsSaturate } from '../engine/saturation.js';
import { parseModel } from '../graph/parse.js';
import { optimize } from './optimize.js';
import { hasFullRange } from './targets.js';
import { fragileChain, noiseData } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const settings = { target: 'node', version: '0.0.0' } as const;
const relu = () => parseModel('main (float[N,32] x) => (float[N,32] y) { y = Relu(x) }');

test('a model that nothing applies to fails by budget, with a reason per candidate', async () => {
  const result = await optimize(relu(), noiseData(8), engine, settings);
  expect(result).toMatchObject({ winner: undefined, failure: 'budget', promise: { maxFlips: 1 } });
  expect(result.candidates.length).toBeGreaterThan(5);
  for (const { verdict, reasons } of result.candidates) {
    expect(verdict).toBe('rejected');
    expect(reasons).toEqual(['the model has nothing that it applies to']);
  }
  expect(result.original.bench.model).toBe('original');
  expect(result.samples).toEqual({ search: 2, train: 0, evaluate: 6 });
  expect(result.notes.at(-1)).toMatch(/^one of 6 samples is 17 points, more than the 1 allowed/);
});

test('a limit that cannot be measured is refused before any candidate is made', async () => {
  const tasks: string[] = [];
  const progress = {
    task: (name: string) => {
      tasks.push(name);
      return { update() {}, end() {} };
    },
  };
  const promise = { maxDrop: 1 };
  await expect(
    optimize(fragileChain(), noiseData(8), engine, { ...settings, promise, progress }),
  ).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('--max-flips') });
  expect(tasks).not.toContain('make candidates');
});

test.each([
  { rounds: 2 },
  { criterion: 'taylor' },
  { finetune: {} },
  { prune: 0.5, rounds: 2 },
  { prune: 0.5, criterion: 'guess' },
])('%j says less than it takes, and is refused', async (options) => {
  await expect(
    optimize(relu(), noiseData(8), engine, { ...settings, ...options }),
  ).rejects.toMatchObject({ code: 'usage' });
});

test('a promise that nothing can keep fails by quality, and no candidate is chosen', async () => {
  const promise = { minSnr: 300 };
  const options = { ...settings, goal: 'size', promise, samples: 16 } as const;
  const result = await optimize(fragileChain(), noiseData(64), engine, options);
  expect(result).toMatchObject({ winner: undefined, failure: 'quality', promise });
  expect(result.candidates.map(({ verdict }) => verdict)).not.toContain('chosen');
  const broken = result.candidates.filter(({ reasons }) => /300 dB required/.test(reasons[0]!));
  expect(broken.length).toBeGreaterThan(0);
});

test('weights of integer kernels take 7 bits where they must, or when asked', async () => {
  const saturates = await sumsSaturate(engine);
  const options = { ...settings, promise: { maxFlips: 100 } };
  const rangesOf = async (reduceRange?: boolean) => {
    const result = await optimize(fragileChain(), noiseData(16), engine, {
      ...options,
      reduceRange,
    });
    const steps = result.candidates
      .flatMap(({ recipe }) => recipe)
      .filter(({ pass }) => pass === 'static' || pass === 'dynamic');
    expect(steps.length).toBeGreaterThan(3);
    const reduced = new Set(steps.map((step) => step.options.reduceRange === true));
    const fullRange = result.winner !== undefined && hasFullRange(result.winner.recipe);
    return { reduced: [...reduced], fullRange, notes: result.notes.join() };
  };
  const own = await rangesOf();
  expect(own.reduced).toEqual([saturates]);
  // The result is for others too: for whom it is right is said where it is not for all.
  expect(own.notes.includes('without VNNI')).toBe(saturates || own.fullRange);
  expect(await rangesOf(true)).toMatchObject({ reduced: [true] });
  expect((await rangesOf(true)).notes).not.toContain('without VNNI');
  expect(await rangesOf(false)).toMatchObject({ reduced: [false] });
});

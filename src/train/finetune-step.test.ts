/**
 * Fine-tuning as a step of a recipe, on the digits that come with pare: what a cut lost comes back,
 * the same recipe gives the same bytes, and what is missing is said.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repeatableFeeds } from '../data/repeatable-feeds.js';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { encode } from '../load.js';
import type { OpenModel } from '../node.js';
import { type Recipe, type RecipeContext, runRecipe } from '../optimize/recipe.js';
import type { TrainingSource } from '../pass.js';
import { openDigits } from '../testing/node-digits.js';

const _asset = (name: string) => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url));
const range = (start: number, end: number) =>
  Uint32Array.from({ length: end - start }, (_, i) => start + i);
const recipe: Recipe = [
  { pass: 'simplify', options: {} },
  { pass: 'prune-structured', options: { params: 0.8, criterion: 'random', refit: false } },
  { pass: 'finetune', options: { epochs: 5, batchSize: 16 } },
  { pass: 'static', options: {} },
];

let engine: Engine;
let opened: OpenModel;
let training: TrainingSource;
let samples: RecipeContext['samples'];

beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  const digits = await openDigits(engine);
  const { dataset, ports } = digits;
  opened = digits.opened;
  const validate = range(400, 500);
  training = { dataset, train: range(0, 400), validate, teacher: opened.model };
  samples = repeatableFeeds(dataset, ports, validate);
});
afterAll(async () => {
  await opened.close();
  await engine.close();
});

test('a cut is trained before it is quantized, to the same bytes each time', async () => {
  const first = await runRecipe(opened.model, recipe, { engine, samples, training, seed: 2 });
  const report = first.reports[2]!;
  const { startScore, bestScore } = report.details as Record<string, number>;
  expect(bestScore).toBeGreaterThan(startScore! + 0.1);
  expect(report.changed.map(({ op }) => op)).toContain('Conv');
  expect(report.notes[0]).toMatch(/^5 epochs of 400 samples by distillation/);
  const again = await runRecipe(opened.model, recipe, { engine, samples, training, seed: 2 });
  expect(Buffer.concat(await encode(again.model))).toEqual(
    Buffer.concat(await encode(first.model)),
  );
});

test('without samples, or with a wrong option, it says so', async () => {
  const step = (options: object) => [{ pass: 'finetune', options: { ...options } }];
  await expect(runRecipe(opened.model, step({}), { engine })).rejects.toThrow(
    /no samples to train/,
  );
  await expect(
    runRecipe(opened.model, step({ epochs: 0 }), { engine, training }),
  ).rejects.toMatchObject({ code: 'usage' });
});

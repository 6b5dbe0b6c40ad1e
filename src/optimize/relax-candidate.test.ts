import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { evaluate } from '../measure/evaluate.js';
import { passContext } from '../pass.js';
import { safeWeights } from '../testing/weight-bits.js';
import { makeCandidate } from './candidate.js';
import { chooseSamples, namedModel, qualityOf } from './measuring.js';
import type { NodeDamage } from './relax.js';
import { relaxCandidate } from './relax-candidate.js';
import { candidatesFor } from './targets.js';
import { fragileChain, noiseData } from './test-models.js';

let engine: Engine;
let bits: { reduceRange?: boolean };
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  bits = await safeWeights(engine, {});
});
afterAll(() => engine.close());

async function setUp(name: string) {
  const model = fragileChain();
  const found = candidatesFor('node').find((each) => each.name === name)!;
  const recipe = found.recipe.map((step) =>
    step.pass === 'dynamic' ? { ...step, options: { ...step.options, ...bits } } : step,
  );
  const spec = { ...found, recipe };
  const context = passContext({ engine });
  const candidate = await makeCandidate(model, spec, '0.0.0', context);
  const original = { name: 'original', source: await modelSource(model) };
  const dataset = noiseData(200);
  const samples = chooseSamples(dataset, undefined, 0);
  const [, evaluation] = await evaluate([original, namedModel(candidate)], dataset, engine, {
    indices: samples.evaluate,
  });
  const request = { model, original, candidate, relax: spec.relax!, dataset, samples, engine };
  return { ...request, quality: qualityOf(evaluation!), version: '0.0.0', context };
}

test('one node that int8 destroys is found and left in float, the others stay int8', async () => {
  const { quality, ...request } = await setUp('dynamic int8');
  expect(quality.flips).toBeGreaterThan(30);
  const rankings = new Map();
  const promise = { maxFlips: 5 };
  const rescued = await relaxCandidate({ ...request, promise, rankings });
  expect(rescued!.candidate.recipe).toEqual([
    { pass: 'simplify', options: {} },
    { pass: 'dynamic', options: { ...bits, exclude: ['fragile'] } },
    { pass: 'weight-only', options: { form: 'cast' } },
  ]);
  expect(rescued!.candidate.name).toBe('dynamic int8, 1 node only stored so');
  expect(qualityOf(rescued!.evaluation).flips).toBeLessThanOrEqual(5);
  const [, dynamic, stored] = rescued!.candidate.reports;
  expect(dynamic!.changed.map(({ node }) => node)).toEqual(['first', 'third', 'head']);
  expect(stored!.changed.map(({ node }) => node)).toContain('fragile');

  const [ranking] = [...rankings.values()];
  expect(ranking.map(({ node }: { node: string }) => node)).toHaveLength(4);
  const worst = [...ranking].sort((a, b) => a.snr - b.snr);
  expect(worst[0].node).toBe('fragile');
  expect(worst[1].snr - worst[0].snr).toBeGreaterThan(20);
});

test('a promise that no choice of nodes keeps is not rescued', async () => {
  const { quality: _, ...request } = await setUp('dynamic int8');
  const rankings = new Map();
  expect(await relaxCandidate({ ...request, promise: { minSnr: 200 }, rankings })).toBeUndefined();
});

test('the ranking of a step is measured once for all candidates that share it', async () => {
  const { quality: _, ...request } = await setUp('dynamic int8');
  const rankings = new Map<string, readonly NodeDamage[]>();
  await relaxCandidate({ ...request, promise: { maxFlips: 5 }, rankings });
  expect(rankings.size).toBe(1);
  // A wrong ranking shows that it is used: the first of it is left out first.
  const known = ['head', 'third', 'first', 'fragile'].map((node, snr) => ({ node, snr }));
  for (const key of rankings.keys()) rankings.set(key, known);
  const stored = await setUp('dynamic int8 + stored int8');
  const rescued = await relaxCandidate({ ...stored, promise: { maxFlips: 100 }, rankings });
  expect(rankings.size).toBe(1);
  expect(rescued!.candidate.recipe[1]).toEqual({
    pass: 'dynamic',
    options: { ...bits, exclude: ['head'] },
  });
});

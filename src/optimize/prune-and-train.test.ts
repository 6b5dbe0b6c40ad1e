/** Rounds of pruning and training on the digits that come with pare. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { labelsOf, repeatableFeeds } from '../data/repeatable-feeds.js';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { encode } from '../load.js';
import type { OpenModel } from '../node.js';
import { maskOf, readMasks } from '../prune/masks.js';
import type { PlanDetails } from '../prune/plan-details.js';
import { trainingOfSteps } from '../report/build/training.js';
import { prunePlanText } from '../report/prune-plan.js';
import { openDigits } from '../testing/node-digits.js';
import { makeCandidate } from './candidate.js';
import { recipeKey, versionKey } from './metadata-keys.js';
import { type PruneAndTrainContext, pruneAndTrain } from './prune-and-train.js';
import { groupSkips, stepNotes } from './receipt.js';
import { type Recipe, runRecipe } from './recipe.js';

const range = (start: number, end: number) =>
  Uint32Array.from({ length: end - start }, (_, i) => start + i);

let engine: Engine;
let opened: OpenModel;
let context: PruneAndTrainContext;

beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  const digits = await openDigits(engine);
  const { dataset, ports } = digits;
  opened = digits.opened;
  context = {
    engine,
    samples: repeatableFeeds(dataset, ports, range(200, 220)),
    labels: labelsOf(dataset, range(200, 220)),
    training: {
      dataset,
      train: range(0, 128),
      validate: range(200, 250),
      teacher: opened.model,
    },
  };
});
afterAll(async () => {
  await opened.close();
  await engine.close();
});

test('rounds cut to shares of the original, as aligned as one cut, and tell each of them', async () => {
  const { model, recipe, reports } = await pruneAndTrain(
    opened.model,
    {
      method: 'structured',
      prune: { macs: 0.6, criterion: 'taylor', refit: false, statistics: false },
      finetune: { epochs: 2 },
      rounds: 2,
    },
    context,
  );
  const cuts = reports.filter(({ pass }) => pass === 'prune-structured');
  const plans = cuts.map(({ details }) => details as PlanDetails);
  const full = plans[0]!.before.macs;
  expect(plans[0]!.after.macs).toBeLessThanOrEqual(full * 0.4 ** 0.5);
  expect(plans[1]!.before.macs).toBe(plans[0]!.after.macs);
  expect(plans[1]!.after.macs).toBeLessThanOrEqual(full * 0.4);
  // Multiples of 16, or of 8 where the original is 16 wide: 8 of 16 once more would be 4.
  for (const { family, widthAfter } of plans[1]!.rows)
    expect(widthAfter % (family === 'conv1' ? 8 : 16)).toBe(0);
  expect(cuts[1]!.notes.at(-1)).toMatch(/^with the cuts before: [67]\d\.\d+ % fewer MACs/);

  const training = trainingOfSteps(reports)!;
  expect(training.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
  expect(training.rounds).toMatchObject([{ firstEpoch: 1 }, { firstEpoch: 2 }]);
  expect(training.rounds![1]!.before[0]).toMatch(/^prune-structured: /);
  expect(stepNotes(reports).filter((note) => note.startsWith('finetune (2 of 2): '))).toHaveLength(
    reports.at(-1)!.notes.length,
  );
  for (const { nodes } of groupSkips(reports)) expect(new Set(nodes).size).toBe(nodes.length);

  // What a receipt states is enough to make the same file.
  const stated = JSON.parse(JSON.stringify(recipe)) as Recipe;
  const again = await makeCandidate(opened.model, { name: '', why: '', recipe: stated }, '', {
    ...context,
  });
  for (const key of [versionKey, recipeKey])
    model.metadata.set(key, again.model.metadata.get(key)!);
  expect(Buffer.concat(await encode(again.model)).equals(Buffer.concat(await encode(model)))).toBe(
    true,
  );
});

test('zeros of earlier rounds stay zero', async () => {
  const request = { method: 'unstructured', prune: { sparsity: 0.9 }, rounds: 2 } as const;
  const { model, recipe } = await pruneAndTrain(
    opened.model,
    { ...request, finetune: { epochs: 2 } },
    context,
  );
  const early = await runRecipe(opened.model, recipe.slice(0, 3), context);
  const [before, after] = [await masksOf(early.model), await masksOf(model)];
  expect([...after.keys()]).toEqual([...before.keys()]);
  let kept = 0;
  let all = 0;
  for (const [name, mask] of before) {
    const later = after.get(name)!;
    expect(mask.every((open, at) => open >= later[at]!)).toBe(true);
    kept += later.reduce((sum, open) => sum + open, 0);
    all += later.length;
  }
  expect(kept / all).toBeCloseTo(0.1, 3);
});

test('a round in which nothing has to leave says so, and a first cut cannot continue one', async () => {
  const cut = { pass: 'prune-structured', options: { macs: 0.5, refit: false } };
  const again = { ...cut, options: { macs: 0.4, refit: false, continued: true } };
  const { reports } = await runRecipe(opened.model, [cut, again], { engine });
  expect(reports[1]!.changed).toEqual([]);
  expect(reports[1]!.notes[0]).toMatch(/^nothing was cut/);
  expect(reports[1]!.warnings).toBeUndefined();
  const plan = prunePlanText(reports[1]!.details as PlanDetails);
  expect(plan).toMatch(/With the cuts before: [56]\d\.\d+ % fewer MACs.*\nNothing was cut/);
  await expect(runRecipe(opened.model, [again], { engine })).rejects.toMatchObject({
    code: 'usage',
  });
  const broken = cloneModel(opened.model);
  broken.metadata.set('pare.cut', '{"macs": "many"}');
  await expect(runRecipe(broken, [again], { engine })).rejects.toMatchObject({
    code: 'invalid-model',
  });
});

test('a signal stops between rounds', async () => {
  const controller = new AbortController();
  const tasks: string[] = [];
  const progress = {
    task: (name: string) => {
      tasks.push(name);
      if (tasks.filter((each) => each === 'prune-unstructured').length === 2) controller.abort();
      return { update() {}, end() {} };
    },
  };
  const request = { method: 'unstructured', prune: { sparsity: 0.9 }, rounds: 2 } as const;
  const { signal } = controller;
  await expect(
    pruneAndTrain(
      opened.model,
      { ...request, finetune: { epochs: 2 } },
      { ...context, signal, progress },
    ),
  ).rejects.toMatchObject({ code: 'aborted' });
  expect(tasks.at(-1)).toBe('prune-unstructured');
});

async function masksOf(model: Model): Promise<Map<string, Uint8Array>> {
  const masks = new Map<string, Uint8Array>();
  for (const name of readMasks(model).keys()) {
    masks.set(name, await maskOf(model.graph.value(name).constant!));
  }
  return masks;
}

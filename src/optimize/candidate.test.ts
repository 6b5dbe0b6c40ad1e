import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { passContext } from '../pass.js';
import { makeCandidate, makeCandidates, sizeOfSource } from './candidate.js';
import { recipeKey, versionKey } from './metadata-keys.js';
import type { Recipe } from './recipe.js';
import { candidatesFor } from './targets.js';
import { fragileChain } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const simplified = { pass: 'simplify', options: {} };

test('the same recipe makes the same bytes, names itself in the file, and leaves the model', async () => {
  const model = fragileChain();
  const before = await printModel(model, { weights: 'full' });
  const recipe: Recipe = [simplified, { pass: 'dynamic', options: { exclude: ['fragile'] } }];
  const spec = { name: 'dynamic', why: '', recipe };
  const [first, second] = [
    await makeCandidate(model, spec, '1.2.3', { engine }),
    await makeCandidate(model, spec, '1.2.3', { engine }),
  ];
  const bytes = ({ source }: typeof first) =>
    Buffer.concat('parts' in source ? [...source.parts] : []);
  expect(bytes(first).equals(bytes(second))).toBe(true);
  expect(first.sizeBytes).toBe(bytes(first).length);
  expect(sizeOfSource(first.source)).toBe(first.sizeBytes);
  expect(first.model.metadata.get(versionKey)).toBe('1.2.3');
  expect(JSON.parse(first.model.metadata.get(recipeKey)!)).toEqual(recipe);
  expect(await printModel(model, { weights: 'full' })).toBe(before);
});

test('what changes nothing or the same as another is dropped, with the reason', async () => {
  const specs = [
    { name: 'simplify', recipe: [simplified] },
    { name: 'dynamic', recipe: [simplified, { pass: 'dynamic', options: {} }] },
    { name: 'with Conv', recipe: [simplified, { pass: 'dynamic', options: { conv: true } }] },
    {
      name: 'all too small',
      recipe: [simplified, { pass: 'weight-only', options: { minElements: 1e6 } }],
    },
  ].map((spec) => ({ ...spec, why: '' }));
  const context = passContext({ engine });
  const { made, dropped } = await makeCandidates(fragileChain(), specs, '0', context);
  expect(made.map(({ name }) => name)).toEqual(['dynamic']);
  expect(dropped.map(({ spec, reason }) => `${spec.name}: ${reason}`)).toEqual([
    'simplify: the model has nothing that it applies to',
    'with Conv: the same changes as "dynamic"',
    'all too small: the model has nothing that it applies to',
  ]);
});

test('a model without weights has no candidates', async () => {
  const model = parseModel('main (float[N,4] x) => (float[N,4] y) { y = Relu(x) }');
  const specs = candidatesFor('node');
  const { made, dropped } = await makeCandidates(model, specs, '0', passContext({ engine }));
  expect(made).toEqual([]);
  expect(dropped).toHaveLength(specs.length);
});

test('a recipe of another version is refused by name', async () => {
  const spec = { name: 'new', why: '', recipe: [{ pass: 'prune', options: {} }] };
  await expect(makeCandidate(fragileChain(), spec, '0', { engine })).rejects.toMatchObject({
    code: 'usage',
    message: 'recipe: no pass is named "prune"',
  });
});

test('a target without candidates says which have some', () => {
  expect(() => candidatesFor('webgpu')).toThrow(
    expect.objectContaining({
      code: 'unsupported',
      hint: 'targets with candidates: node, wasm',
    }),
  );
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Sample } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { evaluate } from './evaluate.js';
import { measureVariants, type Variant } from './sensitivity.js';
import { datasetOf, floats, linearModel, named } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
});

const scaled = (factor: number) =>
  linearModel([
    [1, 0],
    [0, factor],
  ]);

/** More than one chunk of the reference's outputs. */
const samples: Sample[] = Array.from({ length: 40 }, (_, at) => ({
  id: String(at),
  inputs: { x: floats([Math.sin(at), Math.cos(at)]) },
  label: at % 2,
}));

async function collect(variants: readonly Variant[], cacheBytes?: number) {
  const results = [];
  const reference = await named('original', scaled(1));
  const options = cacheBytes === undefined ? {} : { cacheBytes };
  for await (const each of measureVariants(reference, variants, samples, engine, options)) {
    results.push(each);
  }
  return results;
}

test('a variant gets what evaluate says of it, with and without kept outputs', async () => {
  const variants = await Promise.all([named('near', scaled(1.01)), named('far', scaled(3))]);
  const [, near, far] = await evaluate(
    [await named('original', scaled(1)), ...variants],
    datasetOf(
      samples.map(({ inputs }) => inputs),
      samples.map(({ label }) => label),
    ),
    engine,
  );
  const expected = [
    { name: 'near', evaluation: near },
    { name: 'far', evaluation: far },
  ];
  expect(await collect(variants)).toEqual(expected);
  expect(await collect(variants, 0)).toEqual(expected);
  expect(far!.flips!.count).toBeGreaterThan(near!.flips!.count);
});

test('models are made one by one, when their turn comes', async () => {
  const made: string[] = [];
  const variant = (name: string): Variant => ({
    name,
    source: async () => {
      made.push(name);
      return await modelSource(scaled(2));
    },
  });
  const reference = await named('original', scaled(1));
  for await (const { name } of measureVariants(
    reference,
    [variant('a'), variant('b')],
    samples,
    engine,
  )) {
    expect(name).toBe('a');
    break;
  }
  expect(made).toEqual(['a']);
});

test('a variant that does not load is a result, and the next one follows', async () => {
  const broken = { name: 'broken', source: { parts: [Uint8Array.of(1, 2, 3)] } };
  const [first, second] = await collect([broken, await named('fine', scaled(1))]);
  expect(first).toMatchObject({ name: 'broken', error: { code: 'engine' } });
  expect(second!.evaluation!.outputs[0]!.agreement!.exact).toBe(true);
});

test('a reference that does not load is thrown', async () => {
  const broken = { name: 'broken', source: { parts: [Uint8Array.of(1, 2, 3)] } };
  const variants = measureVariants(broken, [], samples, engine);
  await expect(variants.next()).rejects.toMatchObject({ code: 'engine' });
});

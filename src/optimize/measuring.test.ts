import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { evaluate } from '../measure/evaluate.js';
import { chooseSamples, feedsOfSample, qualityOf, refusalOf } from './measuring.js';
import { fragileChain, noiseData } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

describe('chooseSamples', () => {
  test.each([2, 3, 10, 300, 5000])('of %i are disjoint and the same for one seed', (size) => {
    const { search, evaluate } = chooseSamples(noiseData(size), undefined, 3);
    expect(search.length).toBe(Math.min(100, Math.ceil(size / 4)));
    expect(new Set([...search, ...evaluate]).size).toBe(size);
    expect(chooseSamples(noiseData(size), undefined, 3)).toEqual({
      search,
      evaluate,
      train: new Uint32Array(),
    });
  });

  test.each([
    [300, undefined, 45],
    [300, 20, 20],
    [5, undefined, 1],
  ])('of %i leave most to training, with a limit of %s', (size, limit, evaluated) => {
    const { search, train, evaluate } = chooseSamples(noiseData(size), limit, 0, true);
    expect(evaluate).toHaveLength(evaluated);
    const all = new Set([...search, ...train, ...evaluate]);
    expect(all.size).toBe(search.length + train.length + evaluate.length);
    expect(train.length).toBe(size - search.length - Math.ceil((size - search.length) / 5));
  });

  test('train on the train part alone, where the data has one', () => {
    const parts = { train: { start: 0, end: 300 }, test: { start: 300, end: 400 } };
    const { search, train, evaluate } = chooseSamples(
      noiseData(400, { parts }),
      undefined,
      0,
      true,
    );
    expect([search.length, train.length, evaluate.length]).toEqual([100, 200, 100]);
    expect(Math.max(...search, ...train)).toBeLessThan(300);
  });

  test('with a limit evaluate so many, and search as before', () => {
    const all = chooseSamples(noiseData(300), undefined, 0);
    const some = chooseSamples(noiseData(300), 50, 0);
    expect(some.evaluate).toHaveLength(50);
    expect(some.search).toEqual(all.search);
    expect(chooseSamples(noiseData(300), 1_000_000, 0)).toEqual(all);
  });

  test('keep to the parts of the data, even where the train part is short', () => {
    const parts = { train: { start: 0, end: 5 }, test: { start: 5, end: 400 } };
    const { search, evaluate } = chooseSamples(noiseData(400, { parts }), undefined, 0);
    expect([...search]).toEqual([0, 1, 2, 3, 4]);
    expect(evaluate).toHaveLength(395);
    expect(Math.min(...evaluate)).toBe(5);
  });

  test.each([
    [0, '0 samples are too few'],
    [1, '1 sample is too few'],
  ])('need more than %i', (size, message) => {
    expect(() => chooseSamples(noiseData(size), undefined, 0)).toThrow(
      expect.objectContaining({ code: 'invalid-data', message: expect.stringContaining(message) }),
    );
  });
});

test('the SNR of a promise is that of the worst output', async () => {
  const twoOutputs = (factor: string) =>
    parseModel(`
      main (float[N,32] x) => (float[N,32] good, float[N,32] bad)
      < float f = {${factor}}, float one = {2} >
      {
        good = Mul(x, one)
        bad = Mul(x, f)
      }
    `);
  const models = await Promise.all(
    ['1', '1.1'].map(async (factor) => ({
      name: factor,
      source: await modelSource(twoOutputs(factor)),
    })),
  );
  const [, evaluation] = await evaluate(models, noiseData(4), engine, { task: 'generic' });
  // 10 % off is 20 dB.
  expect(qualityOf(evaluation!).snr).toBeCloseTo(20, 1);
  expect(qualityOf(evaluation!)).toMatchObject({ drop: undefined, flips: undefined });
});

describe('refusalOf', () => {
  test('is undefined for a model that runs', async () => {
    const model = { name: 'a', source: await modelSource(fragileChain()) };
    const feeds = await feedsOfSample(noiseData(3), engine, model, 2);
    expect(feeds.x!.dims).toEqual([1, 32]);
    expect(await refusalOf(model, feeds, engine)).toBeUndefined();
  });

  test('is the reason of the runtime for one that does not', async () => {
    const model = fragileChain();
    const feeds = { x: { dataType: 'float', dims: [1, 32], data: new Float32Array(32) } } as const;
    [...model.graph.nodes][0]!.opType = 'NoSuchOperator';
    const source = await modelSource(model);
    expect(await refusalOf({ name: 'a', source }, feeds, engine)).toContain('NoSuchOperator');
  });
});

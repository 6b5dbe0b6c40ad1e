import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { randomFeeds } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { printModel } from '../../graph/print.js';
import { applyPass } from '../../pass.js';
import { simplify } from '../../simplify/index.js';
import { firstOutput, snr } from '../../testing/node-models.js';
import { safeWeights } from '../../testing/weight-bits.js';
import { staticScheme } from '../static.js';
import { equalize } from './equalize.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

function randomSamples(dims: readonly number[], count: number, first = 0) {
  const feeds: Feeds[] = Array.from({ length: count }, (_, i) =>
    randomFeeds([{ name: 'x', dataType: 'float', dims }], { seed: first + i }),
  );
  return async function* () {
    yield* feeds;
  };
}

async function inputDims(model: Model): Promise<readonly number[]> {
  return model.graph.inputs[0]!.dims as readonly number[];
}

/** Largest relative difference of the outputs on samples. */
async function difference(a: Model, b: Model, samples: () => AsyncIterable<Feeds>) {
  let worst = 0;
  for await (const feeds of samples()) {
    const expected = await firstOutput(engine, a, feeds);
    const found = await firstOutput(engine, b, feeds);
    const peak = expected.reduce((most, y) => Math.max(most, Math.abs(y)), 0);
    expected.forEach((y, i) => {
      worst = Math.max(worst, Math.abs(y - found[i]!) / peak);
    });
  }
  return worst;
}

/** Layers whose channels differ much: each row of the uneven weights is multiplied by a factor. */
const uneven = `float[8,1,1,1] k = {1, 0.1, 3, 0.02, 0.5, 10, 0.2, 1}`;

const networks: Readonly<Record<string, { text: string; changed: readonly string[] }>> = {
  'Relu between two convolutions': {
    text: `main (float[1,3,8,8] x) => (float[1,4,8,8] y)
      < float[8,3,3,3] u = normal(seed=1), ${uneven}, float[8] b = normal(seed=2), float[4,8,1,1] w = normal(seed=3) >
      { v = Mul(u, k) ["a"] c = Conv<pads=[1,1,1,1]>(x, v, b) r = Relu(c) ["b"] y = Conv(r, w) }`,
    changed: ['a'],
  },
  'LeakyRelu and pooling before Gemm': {
    text: `main (float[2,3,8,8] x) => (float[2,5] y)
      < float[8,3,3,3] u = normal(seed=1), ${uneven}, float[8] b = normal(seed=2), float[8,5] w = normal(seed=3), float[5] z = normal(seed=4) >
      { v = Mul(u, k) ["a"] c = Conv(x, v, b) r = LeakyRelu<alpha=0.1>(c) m = MaxPool<kernel_shape=[2,2]>(r)
        p = GlobalAveragePool(m) q = Flatten(p) ["b"] y = Gemm(q, w, z) }`,
    changed: ['a'],
  },
  'a depthwise convolution between': {
    text: `main (float[1,3,8,8] x) => (float[1,4,8,8] y)
      < float[8,3,1,1] u = normal(seed=1), ${uneven}, float[8] b = normal(seed=2), float[8,1,3,3] d = normal(seed=3),
        float[8] e = normal(seed=5), float[4,8,1,1] w = normal(seed=4) >
      { v = Mul(u, k) ["a"] c = Conv(x, v, b) r = Relu(c) f = Mul(d, k)
        ["d"] g = Conv<group=8, pads=[1,1,1,1]>(r, f, e) h = Relu(g) ["b"] y = Conv(h, w) }`,
    changed: ['a', 'd'],
  },
  'residual Adds': {
    text: `main (float[1,3,8,8] x) => (float[1,4,8,8] y)
      < float[8,3,1,1] u = normal(seed=1), ${uneven}, float[8] b = normal(seed=2), float[8,8,3,3] d = normal(seed=3),
        float[8] e = normal(seed=5), float[4,8,1,1] w = normal(seed=4) >
      { v = Mul(u, k) ["a"] c = Conv(x, v, b) f = Mul(d, k) ["d"] g = Conv<pads=[1,1,1,1]>(c, f, e)
        s = Add(g, c) ["b"] y = Conv(s, w) }`,
    changed: ['a', 'd'],
  },
};

async function prepared(text: string): Promise<Model> {
  return (await simplify(parseModel(text), {}, { engine })).model;
}

describe.each(Object.entries(networks))('%s', (_name, { text, changed }) => {
  test.each(['activations', 'weights'] as const)(
    'by %s: the outputs stay, on inputs never seen too',
    async (by) => {
      const model = await prepared(text);
      const dims = await inputDims(model);
      const before = await printModel(model);
      const samples = randomSamples(dims, 4);
      const result = await applyPass(model, equalize, { by }, { engine, samples });
      expect(result.report.changed.map(({ node }) => node)).toEqual(changed);
      expect(await difference(model, result.model, randomSamples(dims, 4, 100))).toBeLessThan(1e-5);
      expect(await printModel(model)).toBe(before);
    },
  );

  test('the quantized model comes nearer to the float one', async () => {
    const model = await prepared(text);
    const samples = randomSamples(await inputDims(model), 8);
    const context = { engine, samples };
    const options = await safeWeights(engine, {});
    const noiseOf = async (float: Model) => {
      const { model: quantized } = await applyPass(float, staticScheme, options, context);
      let noise = 0;
      for await (const feeds of samples()) {
        const reference = await firstOutput(engine, model, feeds);
        noise += 10 ** (-snr(reference, await firstOutput(engine, quantized, feeds)) / 10);
      }
      return noise;
    };
    const equalized = await applyPass(model, equalize, {}, context);
    expect(await noiseOf(equalized.model)).toBeLessThan(await noiseOf(model));
  });
});

test('by weights: both sides of a channel get the same range', async () => {
  const model = await prepared(networks['Relu between two convolutions']!.text);
  const { model: result } = await applyPass(model, equalize, { by: 'weights' }, { engine });
  const [first, second] = [...result.graph.nodes].filter(({ op }) => op === 'Conv');
  const made = await first!.constantInput(1)!.floats();
  const taken = await second!.constantInput(1)!.floats();
  for (let c = 0; c < 8; c++) {
    const peak = (values: Iterable<number>) => Math.max(...[...values].map(Math.abs));
    const r1 = peak(made.subarray(c * 27, c * 27 + 27));
    const r2 = peak(taken.filter((_, i) => i % 8 === c));
    expect(r1 / r2).toBeCloseTo(1, 3);
  }
});

describe('Relu6', () => {
  const text = `main (float[1,3,8,8] x) => (float[1,4,8,8] y)
    < float[8,3,1,1] u = normal(seed=1), ${uneven}, float[4,8,1,1] w = normal(seed=4),
      float low = {0}, float high = {6} >
    { v = Mul(u, k) ["a"] c = Conv(x, v) r = Clip(c, low, high) ["b"] y = Conv(r, w) }`;

  test('channels grow as far as the samples stay under the bound', async () => {
    const model = await prepared(text);
    const samples = randomSamples([1, 3, 8, 8], 4);
    const { model: result, report } = await applyPass(model, equalize, {}, { engine, samples });
    expect(report.changed.map(({ node }) => node)).toEqual(['a']);
    expect(await difference(model, result, samples)).toBeLessThan(1e-5);
    const before = await model.graph.node('a')!.constantInput(1)!.floats();
    const after = await result.graph.node('a')!.constantInput(1)!.floats();
    const factor = (channel: number) => after[channel * 3]! / before[channel * 3]!;
    // Channel 5 is clipped by the bound already, channel 3 is the smallest.
    expect(factor(5)).toBe(1);
    expect(factor(3)).toBeGreaterThan(10);
  });

  test('can be left alone, for outputs that are the same on every input', async () => {
    const model = await prepared(text);
    const { report } = await applyPass(model, equalize, { clip: 'skip' }, { engine });
    expect(report.changed).toEqual([]);
    const skip = report.skipped.find(({ node }) => node === 'a');
    expect(skip?.reason).toMatch(/^Clip .* bounds it$/);
  });
});

test.each([
  ['s = Sigmoid(c) y = Conv(s, w)', 'Sigmoid'],
  ['s = Add(c, x) y = Conv(s, w)', '"x" is an input of the model'],
  ['r = Relu(c) y = Identity(r)', 'is an output of the model'],
  ['r = Flatten(c) y = Gemm(r, g)', 'the shape of "r"'],
])('%s: says why the layer stays', async (rest, reason) => {
  const output = rest.includes('Gemm') ? 'float[1,3]' : 'float[1,8,4,4]';
  const model = parseModel(`main (float[1,8,4,4] x) => (${output} y)
    < float[8,8,1,1] v = normal(seed=1), float[8,8,1,1] w = normal(seed=2), float[128,3] g = normal(seed=3) >
    { ["a"] c = Conv(x, v) ${rest} }`);
  const samples = randomSamples([1, 8, 4, 4], 2);
  const { report } = await applyPass(model, equalize, {}, { engine, samples });
  expect(report.changed).toEqual([]);
  expect(report.skipped.find(({ node }) => node === 'a')?.reason).toContain(reason);
});

/** Models that are no plain stack of layers: masks of the length, roots of silence, equal scores. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { createRandom } from '../random.js';
import { explain } from './explain.js';
import { orderOf } from './faithfulness.js';
import type { Layer } from './layers.js';
import { nameTokens } from './name-tokens.js';
import { normalData } from './test-subjects.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const random = createRandom(3);
const numbers = (count: number) =>
  Array.from({ length: count }, () => (0.7 * random.normal()).toFixed(3)).join(', ');

/** Positions are a table cut to the length: a value that has no samples in it, beside those that do. */
const languageModel = parseModel(`<ir_version: 10, opset_import: ["" : 18]>
  main (int64[N,L] ids) => (float[N,L,5] logits)
  <float[5,4] words = {${numbers(20)}}, float[16,4] places = {${numbers(64)}},
   float[4,6] w1 = {${numbers(24)}}, float[6,5] w2 = {${numbers(30)}},
   int64[1] zero = {0}, int64[1] one = {1}> {
    embedded = Gather(words, ids)
    dims = Shape(ids)
    length = Gather(dims, one)
    table = Slice(places, zero, length)
    [first] h = MatMul(embedded, w1)
    r = Relu(h)
    turned = MatMul(table, w1)
    s = Mul(r, turned)
    [last] logits = MatMul(s, w2)
  }`);

function tokenData(size: number, length: number): Dataset {
  const draw = createRandom(5);
  const samples = Array.from({ length: size }, (_, at) => ({
    id: `line ${at}`,
    inputs: {
      ids: hostTensor(
        'int64',
        [length],
        BigInt64Array.from({ length }, () => BigInt(draw.int(5))),
      ),
    },
  }));
  return {
    name: 'lines',
    size,
    hasLabels: false,
    preprocessing: '',
    async *samples(indices) {
      for (const at of Array.from(indices ?? samples.keys())) yield samples[at]!;
    },
    fingerprint: async () => 'lines',
  };
}

test('what follows the length alone is the same for all variants of an ablation', async () => {
  const options = { samples: 12, curveSamples: 6, seeds: 2 };
  const explanation = await explain(languageModel, tokenData(18, 7), options, { engine });
  const [first] = explanation.layers;
  expect([first!.id, first!.weight, first!.ablation!.samples]).toEqual(['first', 'w1', 12]);
  // The effect of a sample is no smaller than its change with the sign.
  for (const [unit, change] of first!.ablation!.loss.entries())
    expect(first!.scores.ablation![unit]!).toBeGreaterThanOrEqual(Math.abs(change) - 1e-5);
  const named = nameTokens(explanation, new Map([[2, 'two']]));
  expect([explanation.model.tokens, named.model.tokens]).toEqual([null, { 2: 'two' }]);
});

test('silence has no slope behind a root, and the scores have numbers all the same', async () => {
  const model = parseModel(`<ir_version: 10, opset_import: ["" : 18]>
    main (float[N,4] x) => (float[N,2] y)
    <float[4,3] w1 = {${numbers(12)}}, float[3,2] w2 = {${numbers(6)}}> {
      [spectrum] h = MatMul(x, w1)
      power = Mul(h, h)
      size = Sqrt(power)
      [last] y = MatMul(size, w2)
    }`);
  const loud = normalData(12, [4], 2);
  const data: Dataset = {
    ...loud,
    async *samples(indices) {
      for await (const sample of loud.samples(indices)) {
        const silent = hostTensor('float', [4], new Float32Array(4));
        yield sample.id.endsWith('1') ? { ...sample, inputs: { x: silent } } : sample;
      }
    },
  };
  const options = { samples: 8, curveSamples: 4, seeds: 2, inputs: 8 };
  const { layers, skipped } = await explain(model, data, options, { engine });
  expect(Object.keys(layers[0]!.scores)).toEqual(
    expect.arrayContaining(['taylor', 'gradient-activation', 'conductance', 'internal-influence']),
  );
  expect(layers[0]!.scores.taylor!.every((score) => score > 0)).toBe(true);
  expect(skipped.map(({ what }) => what)).toContainEqual(expect.stringMatching(/^saliency of/));
});

test('equal scores come in no order of the model', () => {
  const layers = [0, 1].map((at) => ({ id: String(at) }) as Layer);
  const all = layers.flatMap((layer) => [...Array(20).keys()].map((unit) => ({ layer, unit })));
  const scores = new Map(layers.map((layer) => [layer, new Float64Array(20).fill(1)]));
  const order = orderOf(all, { comparable: true, scores }, 1);
  const early = order.slice(0, 20).filter(({ layer }) => layer === layers[0]).length;
  expect(early).toBeGreaterThan(4);
  expect(early).toBeLessThan(16);
  expect(new Set(order).size).toBe(40);
});

/** Layers of two models side by side: values, weights, activations, predictions, times. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { activationGrids } from './activation-grids.js';
import { layerAgreements } from './layer-agreement.js';
import { layerWeights } from './layer-weights.js';
import { PredictionLog } from './prediction-log.js';
import { sizeItems } from './size-items.js';

const text = (body: string, constants: string) => `
  < ir_version: 8, opset_import: ["" : 17] >
  main (float[N,2] x) => (float[N,3] y)
  < ${constants} >
  { ${body} }`;

const weights =
  'float[2,4] w1 = {1, -2, 3, 4, 5, 6, -7, 8}, float[4,3] w2 = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0.5, 0.5}';
const body = '[one] h = MatMul(x, w1)  [act] r = Relu(h)  [two] y = MatMul(r, w2)';

let engine: Engine;
let model: Model;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  model = await parseModel(text(body, weights));
});
afterAll(() => engine.close());

const feed = (...data: number[]) => ({
  x: hostTensor('float', [data.length / 2, 2], Float32Array.from(data)),
});
async function* feeds() {
  yield feed(1, 2);
  yield feed(-1, 0.25);
}

describe('layerAgreements', () => {
  it('names the first value that differs, and compares those before it as equal', async () => {
    const other = await parseModel(text(body, weights.replace('0.5, 0.5, 0.5', '0.5, 0.5, 0.25')));
    const found = await layerAgreements(model, other, engine, feeds());
    expect(found.rows.map(({ value, measure }) => [value, measure.agreement?.exact])).toEqual([
      ['h', true],
      ['r', true],
      ['y', false],
    ]);
    expect([found.firstDifferent, found.samples, found.unpaired]).toEqual(['y', 2, []]);
  });

  it('follows a node to its new name, and says what has no partner or another shape', async () => {
    const renamed = body.replaceAll('h ', 'hidden ').replace('(h)', '(hidden)');
    const narrow =
      'float[2,3] w1 = {1, -2, 3, 5, 6, -7}, float[3,3] w2 = {1, 0, 0, 0, 1, 0, 0, 0, 1}';
    const cut = await layerAgreements(
      model,
      await parseModel(text(renamed, narrow)),
      engine,
      feeds(),
    );
    expect(cut.rows.map(({ value }) => value)).toEqual(['y']);
    expect(cut.unpaired.map(({ value }) => value)).toEqual(['h', 'r']);
    const gone = await parseModel(
      text('[one] h = MatMul(x, w1)  [two] y = MatMul(h, w2)', weights),
    );
    const { unpaired } = await layerAgreements(model, gone, engine, feeds());
    expect(unpaired).toEqual([{ value: 'r', reason: 'the other model has no such value' }]);
  });
});

const quantized = `
  [q] xq = QuantizeLinear(x, s, z)  [d] xd = DequantizeLinear(xq, s, z)
  [w] w1 = DequantizeLinear(w1q, s1)
  [one] h = MatMul(xd, w1)  [act] r = Relu(h)  [two] y = MatMul(r, w2)`;
const integers = `int8[2,4] w1q = {10, -20, 30, 40, 50, 60, -70, 81}, float s1 = {0.1},
  float s = {0.01}, uint8 z = {100}, float[4,3] w2 = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0.5, 0.5}`;

describe('layerWeights', () => {
  it('compares stored integers by the numbers that they stand for, with their grid', async () => {
    const [one, two] = await layerWeights(model, await parseModel(text(quantized, integers)), {
      bins: 4,
    });
    expect(one).toMatchObject({
      layer: 'one',
      dims: [2, 4],
      bytes: 32,
      zeros: 0,
      histogram: { low: -7, counts: [1, 1, 3, 3] },
      other: { type: 'int8', bytes: 8, grid: { type: 'int8', scales: 1 } },
    });
    // One of the numbers is off by 0.1, and the squares of all sum to 204.
    expect(one!.other!.snrDb).toBeCloseTo(10 * Math.log10(204 / 0.01), 3);
    expect(one!.other!.grid!.low).toBeCloseTo(-12.8, 5);
    expect(two).toMatchObject({ layer: 'two', zeros: 0.5, other: { exact: true, grid: null } });
  });

  it('looks at one model alone', async () => {
    const rows = await layerWeights(model, undefined);
    expect(rows.map(({ layer, other }) => [layer, other])).toEqual([
      ['one', null],
      ['two', null],
    ]);
  });
});

describe('activationGrids', () => {
  it('holds the distribution of the float model against the grid of the other', async () => {
    const other = await parseModel(text(quantized, integers));
    const [x] = await activationGrids(model, other, engine, feeds, { bins: 2 });
    // 256 codes of 0.01 around code 100: from -1 to 1.55, so 2 of -1, 0.25, 1, 2 is out.
    expect(x).toMatchObject({ value: 'x', node: null, min: -1, max: 2, clipped: 0.25, samples: 2 });
    expect(x!.histogram.counts).toEqual([2, 2]);
    expect([x!.grid.low, x!.grid.high].map((end) => end.toFixed(2))).toEqual(['-1.00', '1.55']);
  });
});

describe('PredictionLog', () => {
  const task = { name: 'classification', output: 'y', classes: 3 } as const;
  const outputs = (...y: number[]) => ({ y: hostTensor('float', [3], Float32Array.from(y)) });
  const seen = (id: string, label: number | undefined) => ({ id, label, inputs: {} });

  it('counts confusion by model, and keeps the most confident flips', () => {
    const log = new PredictionLog(2);
    log.observe(task, seen('a', 0), [outputs(5, 0, 0), outputs(5, 0, 0)]);
    log.observe(task, seen('b', 0), [outputs(5, 0, 0), outputs(0, 2, 0)]);
    log.observe(task, seen('c', 2), [outputs(0, 0, 5), outputs(0, 9, 0)]);
    log.observe(task, seen('d', undefined), [outputs(0, 0, 5), outputs(0, 3, 0)]);
    expect([log.samples, log.flipped]).toEqual([4, 3]);
    expect(log.flips.map(({ sample }) => sample.id)).toEqual(['c', 'd']);
    expect(log.confusion(0)!.map((row) => [...row])).toEqual([
      [2, 0, 0],
      [0, 0, 0],
      [0, 0, 1],
    ]);
    expect(log.confusion(1)!.map((row) => [...row])).toEqual([
      [1, 1, 0],
      [0, 0, 0],
      [0, 1, 0],
    ]);
  });

  it('takes scores that sum to one for shares', () => {
    const log = new PredictionLog();
    log.observe(task, seen('a', 0), [outputs(0.75, 0.25, 0), outputs(0.25, 0.5, 0.25)]);
    expect(log.flips[0]).toMatchObject({ confidenceBefore: 0.75, confidenceAfter: 0.5 });
  });

  it('has no confusion without labels', () => {
    const log = new PredictionLog();
    log.observe(task, seen('a', undefined), [outputs(1, 0, 0)]);
    expect(log.confusion(0)).toBeUndefined();
  });
});

describe('sizeItems', () => {
  it('accounts for every byte, the small ones by role', () => {
    const items = sizeItems(model, 1);
    expect(items).toEqual([
      { layer: 'two', op: 'MatMul', role: 'weight', bytes: 48 },
      { layer: '', op: '', role: 'weight', bytes: 32 },
    ]);
  });
});

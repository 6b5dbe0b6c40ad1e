import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { opsOf, runModel } from '../testing/node-models.js';
import { type DifferentiateOptions, differentiate, NotDifferentiable } from './differentiate.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const model = (text: string, opset = 18) =>
  parseModel(`<ir_version: 10, opset_import: ["" : ${opset}]>\nmain ${text}`);

/** Differentiates a copy with the gradients as outputs. */
async function gradientsOf(source: Model, options: DifferentiateOptions) {
  const copy = cloneModel(source);
  const result = await differentiate(copy, { asOutputs: true, ...options }, { engine });
  return { copy, ...result };
}

const floats = (dims: number[], values: number[]) =>
  hostTensor('float', dims, Float32Array.from(values));

describe('what is built', () => {
  const two = model(`(float[1,2] x) => (float[1,1] loss)
    <float[2,2] w1 = {1, 2, 3, 4}, float[2,1] w2 = {1, -1}> {
      h = MatMul(x, w1)
      loss = MatMul(h, w2)
    }`);

  test('weights, hidden activations and inputs, by name', async () => {
    const { copy, gradients, unreached } = await gradientsOf(two, {
      loss: 'loss',
      wanted: ['w1', 'w2', 'h', 'x'],
    });
    const { outputs } = await runModel(engine, copy, { x: floats([1, 2], [5, 7]) });
    const of = (name: string) => [...float32Of(outputs[gradients.get(name)!.name]!)];
    expect(gradients.get('w1')!.name).toBe('gradient/w1');
    expect(of('w2')).toEqual([5 * 1 + 7 * 3, 5 * 2 + 7 * 4]);
    expect(of('h')).toEqual([1, -1]);
    expect(of('w1')).toEqual([5, -5, 7, -7]);
    expect(of('x')).toEqual([1 - 2, 3 - 4]);
    expect(unreached).toEqual([]);
  });

  test('only what leads from the wanted values to the loss', async () => {
    const last = await gradientsOf(two, { loss: 'loss', wanted: ['w2'] });
    const all = await gradientsOf(two, { loss: 'loss', wanted: ['w1', 'w2'] });
    expect(last.copy.graph.nodes.size).toBeLessThan(all.copy.graph.nodes.size);
  });

  test('several uses are added up', async () => {
    const square = model(`(float[2] x) => (float loss) {
      a = Mul(x, x)
      b = Add(a, x)
      loss = ReduceSum<keepdims=0>(b)
    }`);
    const { copy, gradients } = await gradientsOf(square, { loss: 'loss', wanted: ['x'] });
    const { outputs } = await runModel(engine, copy, { x: floats([2], [3, -1]) });
    expect([...float32Of(outputs[gradients.get('x')!.name]!)]).toEqual([7, -1]);
  });

  test('a bias beside a batch of one keeps its dims', async () => {
    const biased = model(`(float[1,1,2] x, float[2] b) => (float loss) {
      y = Add(x, b)
      loss = ReduceSum<keepdims=0>(y)
    }`);
    const { copy, gradients } = await gradientsOf(biased, { loss: 'loss', wanted: ['b'] });
    const feeds = { x: floats([1, 1, 2], [3, -1]), b: floats([2], [1, 2]) };
    const { outputs } = await runModel(engine, copy, feeds);
    expect(outputs[gradients.get('b')!.name]!.dims).toEqual([2]);
  });

  test('values that share a gradient have one each', async () => {
    const sum = model(`(float[2] x, float[2] z) => (float loss) {
      b = Add(x, z)
      loss = ReduceSum<keepdims=0>(b)
    }`);
    const { gradients } = await gradientsOf(sum, { loss: 'loss', wanted: ['x', 'z', 'x'] });
    expect([...gradients.values()].map(({ name }) => name)).toEqual(['gradient/x', 'gradient/z']);
  });

  test('old opsets are raised, types of the file stay', async () => {
    const old = model('(float[2,3] x) => (float y) {\n y = ReduceMean<keepdims=0>(x)\n}', 9);
    const { copy } = await gradientsOf(old, { loss: 'y', wanted: ['x'] });
    expect(copy.opsets.get('')).toBe(18);
    expect(old.opsets.get('')).toBe(9);
    expect(await printModel(copy)).toContain('main (float[2,3] x)');
  });

  test('dims given as numbers become dims of the model', async () => {
    const open = model('(float[N,3] x) => (float y) {\n y = ReduceMean<keepdims=0>(x)\n}');
    const fixed = await gradientsOf(open, { loss: 'y', wanted: ['x'], dims: { N: 4 } });
    const free = await gradientsOf(open, { loss: 'y', wanted: ['x'] });
    expect(fixed.copy.graph.value('x').dims).toEqual([4, 3]);
    expect(fixed.copy.graph.nodes.size).toBeLessThan(free.copy.graph.nodes.size);
  });
});

describe('half precision', () => {
  test('float16 weights have gradients in float', async () => {
    const half = model(`(float[1,2] x) => (float[1,1] loss) <float16[2,1] w = {1, 2}> {
      wide = Cast<to=1>(w)
      loss = MatMul(x, wide)
    }`);
    const { copy, gradients } = await gradientsOf(half, { loss: 'loss', wanted: ['w'] });
    const { outputs } = await runModel(engine, copy, { x: floats([1, 2], [1e-7, 3]) });
    const gradient = outputs[gradients.get('w')!.name]!;
    expect(gradient.dataType).toBe('float');
    expect(float32Of(gradient)[0]).toBeCloseTo(1e-7, 12);
  });

  test('float16 arithmetic is differentiated in float', async () => {
    const half = model(`(float16[2] x) => (float16 loss) {
      a = Mul(x, x)
      loss = ReduceSum<keepdims=0>(a)
    }`);
    const { copy, gradients } = await gradientsOf(half, { loss: 'loss', wanted: ['x'] });
    const feeds = { x: hostTensor('float16', [2], Uint16Array.of(0x3c00, 0x4000)) };
    const { outputs } = await runModel(engine, copy, feeds);
    expect([...float32Of(outputs[gradients.get('x')!.name]!)]).toEqual([2, 4]);
  });
});

describe('batch normalization', () => {
  const text = `(float[2,2] x) => (float loss)
    <float[2] s = {1, 2}, float[2] b = {0, 0}, float[2] m = {0, 0}, float[2] v = {1, 1}> {
      y = BatchNormalization<epsilon=0.0, momentum=0.5>(x, s, b, m, v)
      z = Mul(y, y)
      loss = ReduceSum<keepdims=0>(z)
    }`;
  const norm = model(text);
  const feeds = { x: floats([2, 2], [1, 5, 3, 9]) };

  test('frozen by default: running statistics', async () => {
    const { copy, gradients, stateUpdates } = await gradientsOf(norm, {
      loss: 'loss',
      wanted: ['s'],
    });
    const { outputs } = await runModel(engine, copy, feeds);
    expect([...float32Of(outputs[gradients.get('s')!.name]!)]).toEqual([20, 424]);
    expect(stateUpdates).toEqual([]);
  });

  // Before opset 14 a node has no form for training, and extra outputs mean something else.
  test.each([13, 18])('training in opset %i: the batch, and updated statistics', async (opset) => {
    const { copy, gradients, stateUpdates } = await gradientsOf(model(text, opset), {
      loss: 'loss',
      wanted: ['s'],
      batchNormalization: 'training',
    });
    copy.graph.outputs.push(...stateUpdates.map(({ after }) => after));
    const { outputs } = await runModel(engine, copy, feeds);
    // x̂ is -1 and 1 in both channels.
    expect([...float32Of(outputs[gradients.get('s')!.name]!)]).toEqual([4, 8]);
    expect(stateUpdates.map(({ before }) => before.name)).toEqual(['m', 'v']);
    const [mean, variance] = stateUpdates.map(({ after }) => [...float32Of(outputs[after.name]!)]);
    expect(mean).toEqual([1, 3.5]);
    expect(variance).toEqual([1, 2.5]);
  });
});

describe('quantized models', () => {
  test('gradients pass rounding inside the range and stop outside', async () => {
    const fake = model(`(float[3] x) => (float loss)
      <float s = {0.5}, uint8 z = {10}> {
        q = QuantizeLinear(x, s, z)
        d = DequantizeLinear(q, s, z)
        loss = ReduceSum<keepdims=0>(d)
      }`);
    const { copy, gradients } = await gradientsOf(fake, { loss: 'loss', wanted: ['x', 's'] });
    const { outputs } = await runModel(engine, copy, { x: floats([3], [0.3, -7, 400]) });
    expect([...float32Of(outputs[gradients.get('x')!.name]!)]).toEqual([1, 0, 0]);
    // round(0.6) - 0.6, and the bounds -10 and 245.
    expect(float32Of(outputs[gradients.get('s')!.name]!)[0]).toBeCloseTo(0.4 - 10 + 245, 3);
  });
});

describe('what cannot be differentiated', () => {
  const branches = model(
    `(bool c, float[2] x, float[2] w) => (float loss) {
    a = If(c) <
      then_branch = yes () => (float[2] t) { t = Neg(w) },
      else_branch = no () => (float[2] e) { e = Identity(w) }
    >
    d = my.domain.Custom(w)
    p = Mul(a, x)
    r = Mul(p, d)
    loss = ReduceSum<keepdims=0>(r)
  }`
      .replaceAll('my.domain.Custom(w)', 'Det(m)')
      .replace('float[2] w)', 'float[2] w, float[2,2] m)'),
  );

  test('every node in the way is named', async () => {
    const error = await gradientsOf(branches, { loss: 'loss', wanted: ['w', 'm'] }).catch((e) => e);
    expect(error).toBeInstanceOf(NotDifferentiable);
    expect(error.blockers.map(({ op }: { op: string }) => op).sort()).toEqual(['Det', 'If']);
    expect(error.message).toContain('Det');
  });

  test('nodes that only feed frozen parts do not matter', async () => {
    const { gradients } = await gradientsOf(branches, { loss: 'loss', wanted: ['x'] });
    expect(gradients.has('x')).toBe(true);
  });

  test('values that the loss does not depend on are listed', async () => {
    const stopped = model(`(float[2] x, float[2] w) => (float loss) {
      r = Round(w)
      p = Mul(r, x)
      loss = ReduceSum<keepdims=0>(p)
    }`);
    const { gradients, unreached } = await gradientsOf(stopped, {
      loss: 'loss',
      wanted: ['x', 'w'],
    });
    expect([...gradients.keys()]).toEqual(['x']);
    expect(unreached).toEqual(['w']);
  });

  test('a loss of several elements', async () => {
    const wide = model('(float[2] x) => (float[2] y) {\n y = Neg(x)\n}');
    await expect(gradientsOf(wide, { loss: 'y', wanted: ['x'] })).rejects.toThrow('[2]');
  });
});

test('without scatter no scatter operator is written', async () => {
  const table = model(`(int64[3] i) => (float loss) <float[4,2] w = {1, 2, 3, 4, 5, 6, 7, 8}> {
    rows = Gather(w, i)
    square = Mul(rows, rows)
    loss = ReduceSum<keepdims=0>(square)
  }`);
  const { copy } = await gradientsOf(table, { loss: 'loss', wanted: ['w'], scatter: false });
  expect(Object.keys(opsOf(copy)).filter((op) => op.startsWith('Scatter'))).toEqual([]);
});

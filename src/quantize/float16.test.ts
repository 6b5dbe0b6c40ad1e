import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import type { Node } from '../graph/node.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { applyPass, type PassContext } from '../pass.js';
import {
  fileBytes,
  opsOf,
  optimizedOps,
  runModel,
  snr,
  usedTooEarly,
} from '../testing/node-models.js';
import { float16 } from './float16.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

type Options = Parameters<typeof applyPass<typeof float16.options>>[2];

async function halved(text: string, options: Options, context: Partial<PassContext> = {}) {
  const model = parseModel(text);
  const before = await printModel(model, { weights: 'full' });
  const run = { engine, ...context };
  const { model: small, report } = await applyPass(model, float16, options, run);
  expect(await printModel(model, { weights: 'full' }), 'the model given').toBe(before);
  expect(usedTooEarly(small.graph), 'values used before they are made').toEqual([]);
  const twice = await applyPass(small, float16, options, run);
  expect(twice.report.changed).toEqual([]);
  expect(await printModel(twice.model), 'the second run').toBe(await printModel(small));
  return { model, small, report };
}

/** Both models on the same random inputs; types and dims of the outputs must be equal. */
async function compare(text: string, options: Options, context: Partial<PassContext> = {}) {
  const all = await halved(text, options, context);
  const { feeds, outputs } = await runModel(engine, all.model);
  const results = await runModel(engine, all.small, feeds);
  expect(Object.keys(results.outputs)).toEqual(Object.keys(outputs));
  for (const [name, { dataType, dims }] of Object.entries(outputs)) {
    expect(results.outputs[name]).toMatchObject({ dataType, dims });
  }
  const y = (of: typeof outputs) => float32Of(Object.values(of)[0]!);
  return { ...all, snr: snr(y(outputs), y(results.outputs)) };
}

const nodeOf = (nodes: Iterable<Node>, label: string) =>
  [...nodes].find((node) => node.label === label)!;

describe('storage', () => {
  const storage = { mode: 'storage' } as const;

  test('half the size, folded at load, float16 precision', async () => {
    const result = await compare(
      `main (float[4,64] x) => (float[4,64] y)
       < float[64,128] v = normal(seed=1), float[128,64] w = normal(seed=2), float[64] b = normal() >
       { h = MatMul(x, v) p = MatMul(h, w) y = Add(p, b) }`,
      storage,
    );
    expect(result.snr).toBeGreaterThan(60);
    expect((await fileBytes(result.small)) / (await fileBytes(result.model))).toBeLessThan(0.52);
    expect(opsOf(result.small).Cast).toBe(2);
    expect((await optimizedOps(engine, result.small, 'basic')).Cast).toBeUndefined();
    expect(result.report.skipped).toEqual([
      { node: 'y', op: 'Add', reason: 'b: 64 elements, fewer than minElements 256' },
    ]);
  });

  test('Constant nodes, weights in subgraphs and in functions of the model', async () => {
    const numbers = Array.from({ length: 256 }, (_, i) => i / 256).join(', ');
    const result = await compare(
      `< ir_version: 8, opset_import: ["" : 17, "local" : 1] >
       main (float[4,16] x, bool c) => (float[4,16] y)
       { w = Constant<value = float[16,16] {${numbers}}>()
         h = MatMul(x, w)
         f = local.Dense(h)
         y = If(c) <
           then_branch = t () => (float[4,16] u) < float[16,16] v = normal(seed=1) > { u = MatMul(f, v) },
           else_branch = e () => (float[4,16] u) { u = Neg(f) }
         > }
       < domain: "local", opset_import: ["" : 17] >
       Dense (a) => (b) { k = Constant<value = float[16,16] {${numbers}}>() b = MatMul(a, k) }`,
      storage,
    );
    expect(result.report.changed).toHaveLength(3);
    expect(result.snr).toBeGreaterThan(60);
  });

  test('a weight that two nodes share is stored once, with one Cast', async () => {
    const { small } = await halved(
      `main (float[4,16] x) => (float[4,16] y) < float[16,16] w = normal() >
       { h = MatMul(x, w) y = MatMul(h, w) }`,
      storage,
    );
    expect(opsOf(small)).toEqual({ Cast: 1, MatMul: 2 });
  });

  test.each([
    ['fill(value=70000)', '256 of its weights are beyond float16 (largest 7.00e+4, limit 65504)'],
    ['fill(value=nan)', '256 of its weights are NaN'],
    ['fill(value=1e-9)', 'its weights are too small for float16 (largest 1.00e-9, 100.0% is lost)'],
  ])('refused: %s', async (content, reason) => {
    const text = `main (float[4,16] x) => (float[4,16] y) < float[16,16] w = ${content} >
      { y = MatMul(x, w) }`;
    const model = parseModel(text.replace('fill(value=nan)', 'fill(value=0)'));
    if (content.includes('nan')) {
      const { Tensor } = await import('../onnx/tensor.js');
      const nan = new Float32Array(256).fill(Number.NaN);
      model.graph.value('w').initializer = Tensor.of('float', [16, 16], nan);
    }
    for (const mode of ['storage', 'compute'] as const) {
      const { report } = await applyPass(model, float16, { mode }, { engine });
      expect(report.changed).toEqual([]);
      expect(report.skipped[0]!.reason).toContain(reason);
    }
  });

  test('small numbers beside large ones are noise', async () => {
    const tiny = Array.from({ length: 256 }, (_, i) => (i % 2 ? 1 : 1e-12)).join(', ');
    const { report } = await halved(
      `main (float[4,16] x) => (float[4,16] y) < float[16,16] w = {${tiny}} > { y = MatMul(x, w) }`,
      storage,
    );
    expect(report.changed).toHaveLength(1);
  });

  test('what the interface shows and what integer kernels read stays', async () => {
    const { report } = await halved(
      `main (float[4,16] x, float[16,16] v = normal(seed=1)) => (float[4,16] y, float[16,16] w)
       < float[16,16] w = normal(seed=2), int8[300,2] q = fill(value=3), float[300] s = fill(value=0.1) >
       { h = MatMul(x, v) k = MatMul(h, w) d = DequantizeLinear<axis = 0>(q, s)
         m = ReduceMax(d) y = Add(k, m) }`,
      storage,
    );
    expect(report.changed).toEqual([]);
    expect(report.skipped.map(({ reason }) => reason).sort()).toEqual([
      's: it is a parameter of quantized numbers, which must stay exact',
      'v: it is also a graph input, so callers may replace it',
      'w: it is a graph output',
    ]);
  });
});

describe('compute', () => {
  const compute = { mode: 'compute' } as const;
  const dense = `main (float[4,16] x) => (float[4,16] y)
    < float[16,16] v = normal(seed=1, std=0.3), float[16,16] w = normal(seed=2, std=0.3) >
    { [a] h = MatMul(x, v) [b] r = Relu(h) [c] y = MatMul(r, w) }`;

  test('float16 inside, float32 outside, one Cast at each border', async () => {
    const result = await compare(dense, compute);
    expect(result.snr).toBeGreaterThan(50);
    expect(opsOf(result.small)).toEqual({ Cast: 2, MatMul: 2, Relu: 1 });
    expect(result.report.notes.join()).toContain('no samples given');
    const weights = result.small.graph.initializers.map(({ initializer }) => initializer!.dataType);
    expect(weights).toEqual(['float16', 'float16']);
  });

  test('an excluded node computes in float32 between casts', async () => {
    const { small, report } = await compare(dense, { ...compute, exclude: ['b'] });
    expect(opsOf(small).Cast).toBe(4);
    expect(report.skipped).toEqual([{ node: 'b', op: 'Relu', reason: 'excluded by the caller' }]);
  });

  test('values that are too large on samples stay float32, with the number', async () => {
    async function* samples(): AsyncGenerator<Feeds> {
      yield { x: hostTensor('float', [4, 16], new Float32Array(64).fill(300)) };
    }
    const text = `main (float[4,16] x) => (float[4,16] y) { s = Mul(x, x) y = Sqrt(s) }`;
    const { report } = await halved(text, compute, { samples });
    expect(report.changed).toEqual([]);
    expect(report.skipped.map(({ reason }) => reason)).toEqual([
      '"s" reaches 9.00e+4, the limit is 32752',
      '"s" reaches 9.00e+4, the limit is 32752',
    ]);
  });

  test('values that hold NaN stay float32', async () => {
    async function* samples(): AsyncGenerator<Feeds> {
      yield { x: hostTensor('float', [3], Float32Array.of(1, -1, 2)) };
    }
    const text = 'main (float[3] x) => (float[3] y) { s = Sqrt(x) y = Neg(s) }';
    const { report } = await halved(text, compute, { samples });
    expect(report.changed).toEqual([]);
    expect(report.skipped[0]!.reason).toContain('NaN');
  });

  test('a Cast to float inside the model becomes one to float16', async () => {
    const { small, snr: ratio } = await compare(
      `main (int64[4] i) => (float[4] y) { f = Cast<to = 1>(i) y = Sqrt(f) }`,
      compute,
    );
    expect(nodeOf(small.allNodes(), 'f').int('to')).toBe(10);
    expect(ratio).toBeGreaterThan(60);
  });

  test('attributes that give a type, and constants of their own', async () => {
    const { small } = await compare(
      `main (float[2,3] x) => (float[2,3] y)
       < int64[2] s = {2, 3} >
       { k = Constant<value = float[3] {1, 2, 3}>() o = ConstantOfShape<value = float[1] {0.5}>(s)
         a = Add(x, k) y = Add(a, o) }`,
      compute,
    );
    expect(opsOf(small).Cast).toBe(2);
  });

  test.each([
    ['', 'float[4] s = {1, 1, 2, 2}', 'Resize<mode = "nearest">(h, "", s)'],
    [
      '< ir_version: 4, opset_import: ["" : 10] >',
      'float[4] s = {1, 1, 2, 2}',
      'Resize<mode = "nearest">(h, s)',
    ],
    [
      '',
      'float[8] r = {0, 0, 0, 0, 1, 1, 1, 1}, float[4] s = {1, 1, 2, 2}',
      'Resize<mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize">(h, r, s)',
    ],
  ])('the scales of Resize stay float32 %s', async (header, constants, resize) => {
    const { small, report } = await compare(
      `${header} main (float[1,1,4,4] x) => (float[] y) < ${constants} > { h = Neg(x) y = ${resize} }`,
      compute,
    );
    expect(report.changed.map(({ op }) => op)).toContain('Resize');
    expect(small.graph.value('s').initializer!.dataType).toBe('float');
  });

  test('subgraphs stay float32 and may use values around them', async () => {
    const { report, snr: ratio } = await compare(
      `main (float[4,16] x, bool c) => (float[4,16] y) < float[16,16] w = normal(std=0.2) >
       { h = MatMul(x, w)
         z = If(c) <
           then_branch = t () => (float[4,16] u) { u = Relu(h) },
           else_branch = e () => (float[4,16] v) { v = Neg(h) }
         >
         y = Tanh(z) }`,
      compute,
    );
    expect(report.skipped).toEqual([{ node: 'z', op: 'If', reason: 'its subgraphs stay float32' }]);
    expect(ratio).toBeGreaterThan(50);
  });

  test('operators without a float16 form are named', async () => {
    const { report } = await halved(
      'main (float[4] x) => (float[4] y) { h = com.microsoft.Gelu(x) y = Neg(h) }'.replace(
        'main',
        '< ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1] > main',
      ),
      compute,
    );
    expect(report.skipped[0]!.reason).toBe('no float16 form of com.microsoft:Gelu is known');
  });

  test('recurrent layers, normalizations and reductions run', async () => {
    const result = await compare(
      `main (float[5,2,16] x) => (float[5,2,16] y)
       < float[1,64,16] w = normal(seed=1, std=0.2), float[1,64,16] r = normal(seed=2, std=0.2),
         float[16] g = fill(value=1), int64[1] one = {1} >
       { l = LSTM<hidden_size = 16>(x, w, r) s = Squeeze(l, one) n = LayerNormalization(s, g)
         m = ReduceMean<axes = [0], keepdims = 1>(n) y = Sub(n, m) }`,
      compute,
    );
    expect(result.report.skipped).toEqual([]);
    expect(result.snr).toBeGreaterThan(40);
  });

  const qdq = `main (float[1,4,8,8] x) => (float[1,4,6,6] y)
    < float s = {0.05}, uint8 z = {128}, int8[4,4,3,3] q = normal(seed=1, std=40), float[4] ws = fill(value=0.01),
      int8[4] wz = {0, 0, 0, 0} >
    { n = Neg(x) xq = QuantizeLinear(n, s, z) xd = DequantizeLinear(xq, s, z)
      wd = DequantizeLinear<axis = 0>(q, ws, wz) c = Conv(xd, wd)
      cq = QuantizeLinear(c, s, z) cd = DequantizeLinear(cq, s, z) t = Tanh(cd) y = Neg(t) }`;

  test('quantized models keep their integer kernels', async () => {
    const { small, report } = await compare(qdq, compute);
    const reasons = new Map(report.skipped.map(({ node, reason }) => [node, reason]));
    expect(reasons.get('c')).toBe(
      'the runtime joins it with DequantizeLinear into an integer kernel',
    );
    expect(reasons.get('n')).toContain('QuantizeLinear');
    expect(report.changed.map(({ node }) => node)).toEqual(['y']);
    expect((await optimizedOps(engine, small)).QLinearConv).toBe(1);
  });

  test('so do dynamically quantized ones', async () => {
    const { dynamic } = await import('./dynamic.js');
    const { model } = await applyPass(
      parseModel(`${dense.slice(0, -1)} z = Tanh(y) }`.replace('[4,16] y)', '[4,16] z)')),
      dynamic,
      {},
    );
    const { model: small, report } = await applyPass(model, float16, compute, { engine });
    expect(report.changed).toEqual([{ node: 'z', op: 'Tanh', what: 'computes in float16' }]);
    const ops = await optimizedOps(engine, small);
    expect(ops.DynamicQuantizeMatMul).toBe(2);
  });

  test('nothing to change leaves the model as it is', async () => {
    const { model, small } = await halved(
      'main (int64[4] x) => (int64[4] y) { h = Neg(x) y = Abs(h) }',
      compute,
    );
    expect(await printModel(small)).toBe(await printModel(model));
  });

  test('it needs an engine', async () => {
    await expect(applyPass(parseModel(dense), float16, compute)).rejects.toMatchObject({
      code: 'usage',
    });
  });

  test('a model that random inputs break asks for samples', async () => {
    const text = `main (float[1,N] x) => (float[1,M] y) < int64[4] p = {0, 0, 0, 32} >
      { y = Pad<mode = "reflect">(x, p) }`;
    await expect(halved(text, compute)).rejects.toMatchObject({
      code: 'data-mismatch',
      hint: expect.stringContaining('samples'),
    });
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { applyPass } from '../pass.js';
import {
  fileBytes,
  opsOf,
  optimizedOps,
  runModel,
  snr,
  usedTooEarly,
} from '../testing/node-models.js';
import { weightOnly } from './weight-only.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const forms = ['dequantize', 'cast'] as const;

async function quantized(text: string, form: (typeof forms)[number], options = {}) {
  const model = parseModel(text);
  const before = await printModel(model, { weights: 'full' });
  const all = { form, ...options };
  const { model: small, report } = await applyPass(model, weightOnly, all, { engine });
  expect(await printModel(model, { weights: 'full' }), 'the model given').toBe(before);
  expect(usedTooEarly(small.graph), 'values used before they are made').toEqual([]);
  const twice = await applyPass(small, weightOnly, all, { engine });
  expect(twice.report.changed).toEqual([]);
  expect(await printModel(twice.model)).toBe(await printModel(small));
  return { model, small, report };
}

const operators: Readonly<Record<string, string>> = {
  MatMul: `main (float[4,64] x) => (float[4,128] y) < float[64,128] w = normal(seed=1) >
    { y = MatMul(x, w) }`,
  'MatMul from the left': `main (float[64,5] x) => (float[128,5] y)
    < float[128,64] w = normal(seed=1) > { y = MatMul(w, x) }`,
  'MatMul in a batch': `main (float[3,4,64] x) => (float[3,4,128] y)
    < float[3,64,128] w = normal(seed=1) > { y = MatMul(x, w) }`,
  Gemm: `main (float[4,64] x, float[128] b) => (float[4,128] y) < float[64,128] w = normal(seed=1) >
    { y = Gemm<alpha = 0.5, beta = 2.0>(x, w, b) }`,
  'Gemm transposed': `main (float[64,4] x) => (float[4,128] y) < float[128,64] w = normal(seed=1) >
    { y = Gemm<transA = 1, transB = 1>(x, w) }`,
  'Gemm from the left': `main (float[64,5] x) => (float[128,5] y)
    < float[64,128] w = normal(seed=1) > { y = Gemm<transA = 1>(w, x) }`,
  Conv: `main (float[1,32,9,9] x, float[32] b) => (float[1,32,7,7] y)
    < float[32,32,3,3] w = normal(seed=1) > { y = Conv(x, w, b) }`,
  'depthwise Conv': `main (float[1,128,9,9] x) => (float[1,128,7,7] y)
    < float[128,1,3,3] w = normal(seed=1) > { y = Conv<group = 128>(x, w) }`,
  ConvTranspose: `main (float[1,32,5,5] x) => (float[1,16,7,7] y)
    < float[32,16,3,3] w = normal(seed=1) > { y = ConvTranspose(x, w) }`,
  'ConvTranspose in groups': `main (float[1,32,5,5] x) => (float[1,32,7,7] y)
    < float[32,8,3,3] w = normal(seed=1) > { y = ConvTranspose<group = 4>(x, w) }`,
  LSTM: `main (float[5,2,16] x) => (float[5,1,2,32] y)
    < float[1,128,16] w = normal(seed=1, std=0.2), float[1,128,32] r = normal(seed=2, std=0.2) >
    { y = LSTM<hidden_size = 32>(x, w, r) }`,
  GRU: `main (float[5,2,16] x) => (float[5,2,2,32] y)
    < float[2,96,16] w = normal(seed=1, std=0.2), float[2,96,32] r = normal(seed=2, std=0.2) >
    { y = GRU<hidden_size = 32, direction = "bidirectional">(x, w, r) }`,
  RNN: `main (float[5,2,32] x) => (float[5,1,2,64] y)
    < float[1,64,32] w = normal(seed=1, std=0.2), float[1,64,64] r = normal(seed=2, std=0.1) >
    { y = RNN<hidden_size = 64>(x, w, r) }`,
  'float16 MatMul': `main (float16[4,64] x) => (float16[4,128] y)
    < float16[64,128] w = normal(seed=1) > { y = MatMul(x, w) }`,
};

describe.each(forms)('form %s', (form) => {
  test.each(Object.keys(operators))('%s', async (name) => {
    for (const perChannel of [true, false]) {
      const { model, small, report } = await quantized(operators[name]!, form, { perChannel });
      expect(report.changed).toHaveLength(1);
      expect(opsOf(small).DequantizeLinear !== undefined).toBe(form === 'dequantize');
      const { feeds, outputs } = await runModel(engine, model, undefined, 'disabled');
      const results = await runModel(engine, small, feeds, 'disabled');
      const [a, b] = [outputs.y!, results.outputs.y!];
      expect({ type: b.dataType, dims: b.dims }).toEqual({ type: a.dataType, dims: a.dims });
      // Rounding to 127 steps of a peak of 4 standard deviations: 4 / 127 / sqrt(12), 41 dB.
      expect(snr(float32Of(a), float32Of(b))).toBeGreaterThan(perChannel ? 38 : 35);
      await runModel(engine, small, feeds, 'all');
    }
  });

  test('a quarter of the size', async () => {
    const { model, small } = await quantized(
      `main (float[4,128] x) => (float[4,128] y) < float[128,256] v = normal(seed=1), float[256,128] w = normal(seed=2) >
       { h = MatMul(x, v) y = MatMul(h, w) }`,
      form,
    );
    const ratio = (await fileBytes(small)) / (await fileBytes(model));
    expect(ratio).toBeGreaterThan(0.25);
    expect(ratio).toBeLessThan(0.27);
  });

  test('columns too short for a scale of their own stay float', async () => {
    const { report } = await quantized(
      `main (float[4,2] x) => (float[4,1024] y) < float[2,1024] w = normal() > { y = MatMul(x, w) }`,
      form,
    );
    expect(report.skipped[0]!.reason).toBe(
      'its channels have 2 elements, the scales would weigh as much',
    );
  });
});

test.each(['MatMul', 'Conv', 'Gemm', 'ConvTranspose', 'GRU'])(
  'the runtime folds the cast form of %s at load',
  async (name) => {
    const { small } = await quantized(operators[name]!, 'cast');
    const ops = await optimizedOps(engine, small, 'basic');
    expect([ops.Cast, ops.Mul]).toEqual([undefined, undefined]);
  },
);

test.each(['1.0', '0.5'])(
  'the runtime joins the dequantize form with Gemm, alpha %s',
  async (alpha) => {
    // As exporters write a linear layer. A DequantizeLinear left over would run in every run.
    const { small } = await quantized(
      `main (float[4,64] x) => (float[4,128] y)
     < float[128,64] w = normal(seed=1), float[128] b = normal(seed=2) >
     { y = Gemm<transB = 1, alpha = ${alpha}>(x, w, b) }`,
      'dequantize',
    );
    const ops = await optimizedOps(engine, small);
    expect(ops).toEqual(alpha === '1.0' ? { MatMulNBits: 1 } : { DequantizeLinear: 1, Gemm: 1 });
  },
);

test('the runtime joins the dequantize form with MatMul', async () => {
  const { small } = await quantized(operators.MatMul!, 'dequantize');
  expect(await optimizedOps(engine, small)).toEqual({ MatMulNBits: 1 });
});

test('scales are those of the output channels', async () => {
  // Columns of very different size: with one scale the small ones would vanish.
  const columns = Array.from({ length: 4096 }, (_, i) => Math.sin(i) * 10 ** -(i % 4)).join(', ');
  const text = `main (float[8,64] x) => (float[8,64] y) < float[64,64] w = {${columns}} >
    { y = MatMul(x, w) }`;
  for (const form of forms) {
    const { model, small } = await quantized(text, form);
    const { feeds, outputs } = await runModel(engine, model);
    const results = await runModel(engine, small, feeds);
    const smallest = (y: Float32Array) => y.filter((_, i) => i % 4 === 3);
    const [a, b] = [float32Of(outputs.y!), float32Of(results.outputs.y!)];
    expect(snr(smallest(a), smallest(b))).toBeGreaterThan(35);
  }
});

test('the cast form leaves the opset alone, dequantize needs 13', async () => {
  const text = `< ir_version: 4, opset_import: ["" : 9] > ${operators.MatMul}`;
  expect((await quantized(text, 'cast')).small.opsets.get('')).toBe(9);
  expect((await quantized(text, 'dequantize')).small.opsets.get('')).toBe(13);
});

describe('constants that int8 holds exactly', () => {
  const mask = Array.from({ length: 64 * 64 }, (_, i) => (i % 64 > i / 64 ? -1e9 : 0)).join(', ');
  const text = (stored: string, uses: string) => `main (float[64,64] x) => (float[64,64] y)
    ${stored} { ${uses} }`;

  test.each(forms)('a mask becomes int8 and keeps its bits, form %s', async (form) => {
    const { model, small, report } = await quantized(
      text(`< float[64,64] m = {${mask}} >`, 'y = Add(x, m)'),
      form,
    );
    expect(report.changed).toEqual([
      { node: 'y', op: 'Add', what: 'm [64,64] stored exactly as int8' },
    ]);
    const { feeds, outputs } = await runModel(engine, model);
    expect((await runModel(engine, small, feeds)).outputs).toEqual(outputs);
    expect(await optimizedOps(engine, small, 'basic')).toEqual({ Add: 1 });
    expect((await fileBytes(small)) / (await fileBytes(model))).toBeLessThan(0.3);
  });

  test('a Constant node too', async () => {
    const { small, report } = await quantized(
      text('', `m = Constant<value = float[64,64] {${mask}}>() y = Add(x, m)`),
      'cast',
    );
    expect(report.changed[0]!.what).toBe('m [64,64] stored exactly as int8');
    expect(opsOf(small)).toEqual({ Cast: 1, Mul: 1, Add: 1 });
  });

  test.each([
    ['excluded users', { exclude: ['op:Add'] }, mask],
    ['an infinity', {}, mask.replace('-1000000000', '-inf')],
    ['other numbers', {}, mask.replace('-1000000000', '-1.0000001')],
  ])('not with %s', async (_name, options, content) => {
    const { report } = await quantized(
      text(`< float[64,64] m = {${content}} >`, 'y = Add(x, m)'),
      'cast',
      options,
    );
    expect(report.changed).toEqual([]);
  });
});

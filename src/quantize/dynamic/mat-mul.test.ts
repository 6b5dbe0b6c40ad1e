import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { expectNoise, type QuantizeOptions, quantizeDynamic } from '../../testing/node-dynamic.js';
import { firstOutput, opsOf, optimizedOps, runModel, snr } from '../../testing/node-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const quantized = (text: string, options?: QuantizeOptions) =>
  quantizeDynamic(engine, text, options);
const all = { minElements: 0 };

describe('MatMul', () => {
  const shapes = [
    ['a matrix', '[8,32]', '[32,16]', '[8,16]', 32],
    ['odd sizes', '[7,33]', '[33,17]', '[7,17]', 33],
    ['one row', '[1,64]', '[64,24]', '[1,24]', 64],
    ['one term', '[16,1]', '[1,16]', '[16,16]', 1],
    ['one column', '[64,32]', '[32,1]', '[64,1]', 32],
    ['a batch of activations', '[2,5,32]', '[32,16]', '[2,5,16]', 32],
    ['a batch of weights', '[3,5,32]', '[3,32,16]', '[3,5,16]', 32],
    ['weights that broadcast', '[2,3,5,32]', '[3,32,16]', '[2,3,5,16]', 32],
    ['weights with a batch of one', '[5,32]', '[1,32,16]', '[1,5,16]', 32],
    ['a vector', '[32]', '[32,64]', '[64]', 32],
  ] as const;
  test.each(shapes)('%s', async (_name, x, w, y, terms) => {
    for (const perChannel of [true, false]) {
      const { model, small } = await quantized(
        `main (float${x} x) => (float${y} y) < float${w} w = normal(seed=2, std=0.3) >
         { y = MatMul(x, w) }`,
        { ...all, perChannel },
      );
      await expectNoise(engine, model, small, 'x', 'w', terms);
      const ops = await optimizedOps(engine, small);
      expect(ops.DynamicQuantizeMatMul).toBe(1);
      expect(ops.MatMulInteger ?? 0).toBe(0);
    }
  });

  test('nodes that take the same activation quantize it once', async () => {
    const { small } = await quantized(
      `main (float[8,32] x) => (float[8,16] y)
       < float[32,16] q = normal(seed=1), float[32,16] k = normal(seed=2) >
       { a = MatMul(x, q) b = MatMul(x, k) y = Add(a, b) }`,
    );
    expect(opsOf(small).DynamicQuantizeLinear).toBe(1);
    const ops = await optimizedOps(engine, small);
    expect(ops.MatMulInteger ?? 0).toBe(0);
  });

  test('the output may be an output of the graph and have users', async () => {
    const { model, small } = await quantized(
      `main (float[8,32] x) => (float[8,16] y, float[8,16] z) < float[32,16] w = normal(seed=1) >
       { y = MatMul(x, w) z = Relu(y) }`,
    );
    await expectNoise(engine, model, small, 'x', 'w', 32);
    const { outputs } = await runModel(engine, small);
    expect(float32Of(outputs.z!)).toEqual(float32Of(outputs.y!).map((v) => Math.max(0, v)));
  });

  test('float16 activations and weights', async () => {
    const { model, small } = await quantized(
      `main (float16[8,32] x, float16[8,16] b) => (float16[8,16] y)
       < float16[32,16] w = normal(seed=1) > { p = MatMul(x, w) y = Add(p, b) }`,
    );
    const { feeds, outputs } = await runModel(engine, model);
    const results = await runModel(engine, small, feeds);
    expect(results.outputs.y!.dataType).toBe('float16');
    expect(snr(float32Of(outputs.y!), float32Of(results.outputs.y!))).toBeGreaterThan(35);
  });

  test('reduceRange halves the codes', async () => {
    const { small } = await quantized(
      `main (float[8,32] x) => (float[8,16] y) < float[32,16] w = normal(seed=1) >
       { y = MatMul(x, w) }`,
      { reduceRange: true },
    );
    const stored = small.graph.initializers.find((v) => v.initializer!.size === 512)!;
    const codes = await stored.initializer!.floats();
    expect([Math.min(...codes), Math.max(...codes)]).toEqual([-63, 63]);
  });

  test('inside a Loop, with weights around it', async () => {
    const { model, small } = await quantized(
      `main (float[4,16] x, int64 n, bool go) => (float[4,16] y)
       < float[16,16] w = normal(seed=1, std=0.25) >
       { y = Loop(n, go, x) < body = step (int64 i, bool c, float[4,16] h) => (bool d, float[4,16] g)
           { d = Identity(c) p = MatMul(h, w) g = Tanh(p) } > }`,
    );
    expect(opsOf(small).MatMulInteger).toBe(1);
    const feeds = {
      x: hostTensor(
        'float',
        [4, 16],
        Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)),
      ),
      n: hostTensor('int64', [], BigInt64Array.of(3n)),
      go: hostTensor('bool', [], Uint8Array.of(1)),
    };
    const [a, b] = [
      await firstOutput(engine, model, feeds),
      await firstOutput(engine, small, feeds),
    ];
    expect(snr(a, b)).toBeGreaterThan(30);
  });
});

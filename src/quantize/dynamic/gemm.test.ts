import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { type QuantizeOptions, quantizeDynamic } from '../../testing/node-dynamic.js';
import {
  expectedNoise,
  firstOutput,
  optimizedOps,
  rms,
  runModel,
  snr,
} from '../../testing/node-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const quantized = (text: string, options?: QuantizeOptions) =>
  quantizeDynamic(engine, text, options);

describe('Gemm', () => {
  const biases = ['', '[16]', '[1,16]', '[8,16]', '[8,1]', '[1]', ''] as const;
  const cases = fc.record({
    transA: fc.constantFrom(0, 1),
    transB: fc.constantFrom(0, 1),
    alpha: fc.constantFrom(1, 0.5, -2),
    beta: fc.constantFrom(1, 0.25, 0),
    bias: fc.constantFrom(...biases),
    computed: fc.boolean(),
  });

  test('every combination of transposes, factors and biases', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ transA, transB, alpha, beta, bias, computed }) => {
        const x = transA ? '[32,8]' : '[8,32]';
        const w = transB ? '[16,32]' : '[32,16]';
        const attributes = `transA = ${transA}, transB = ${transB}, alpha = ${alpha.toFixed(2)}, beta = ${beta.toFixed(2)}`;
        const text = `main (float${x} x) => (float[8,16] y)
          < float${w} w = normal(seed=2, std=0.3)${bias && `, float${bias} b = normal(seed=3, std=5)`} >
          { ${bias && computed ? 'c = Neg(b)' : ''}
            y = Gemm<${attributes}>(x, w${bias && (computed ? ', c' : ', b')}) }`;
        const { model, small, report } = await quantized(text);
        expect(report.changed.map(({ what }) => what)).toEqual([
          `MatMulInteger, int8 weight ${w} per channel`,
        ]);
        const { feeds, outputs } = await runModel(engine, model);
        const found = await firstOutput(engine, small, feeds);
        const weights = await model.graph.value('w').initializer!.floats();
        const noise = Math.abs(alpha) * expectedNoise(float32Of(feeds.x!), weights, 32);
        expect(rms(float32Of(outputs.y!), found)).toBeLessThan(1.6 * noise);
        expect((await optimizedOps(engine, small)).MatMulInteger ?? 0).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  test('a bias that broadcasts by the rules of opset 6 is converted', async () => {
    const { small } = await quantized(
      `< ir_version: 3, opset_import: ["" : 6] >
       main (float[8,32] x, float[32,16] w = normal(seed=2), float[16] b = normal(seed=3)) => (float[8,16] y)
       { y = Gemm<broadcast = 1, alpha = 2.0>(x, w, b) }`,
    );
    expect(small.opsets.get('')).toBe(11);
    // The runtime has no kernels for opset 6, so a newer model is the reference.
    const model = parseModel(`main (float[8,32] x) => (float[8,16] y)
      < float[32,16] w = normal(seed=2), float[16] b = normal(seed=3) >
      { y = Gemm<alpha = 2.0>(x, w, b) }`);
    expect(snr(await firstOutput(engine, model), await firstOutput(engine, small))).toBeGreaterThan(
      35,
    );
  });
});

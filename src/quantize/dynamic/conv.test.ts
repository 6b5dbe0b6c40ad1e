import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { applyPass } from '../../pass.js';
import { simplify } from '../../simplify/index.js';
import { expectNoise, type QuantizeOptions, quantizeDynamic } from '../../testing/node-dynamic.js';
import { firstOutput, opsOf, runModel, snr } from '../../testing/node-models.js';
import { dynamic } from '../dynamic.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const quantized = (text: string, options?: QuantizeOptions) =>
  quantizeDynamic(engine, text, options);
const all = { minElements: 0 };

describe('Conv', () => {
  const conv = { conv: true };
  test.each([
    ['2-D', '[2,8,9,9]', '[16,8,3,3]', '', true, 72],
    [
      'pads, strides and dilations',
      '[1,8,11,11]',
      '[16,8,3,3]',
      'pads = [1, 2, 0, 1], strides = [2, 1], dilations = [2, 1]',
      true,
      72,
    ],
    ['auto_pad', '[1,8,9,9]', '[16,8,3,3]', 'auto_pad = "SAME_UPPER", strides = [2, 2]', true, 72],
    ['pointwise without bias', '[1,32,5,5]', '[16,32,1,1]', '', false, 32],
    ['1-D', '[2,16,20]', '[8,16,5]', 'pads = [2, 2]', true, 80],
  ] as const)('%s', async (_name, x, w, attributes, bias, terms) => {
    for (const perChannel of [true, false]) {
      const { model, small } = await quantized(
        `main (float${x} x) => (float[] y)
         < float${w} w = normal(seed=2, std=0.3), float[${w.slice(1).split(',')[0]}] b = normal(seed=3) >
         { y = Conv<${attributes}>(x, w${bias ? ', b' : ''}) }`.replace('Conv<>', 'Conv'),
        { ...conv, perChannel },
      );
      // The declared rank of the output was a placeholder for the tests.
      model.graph.outputs[0]!.type = undefined;
      small.graph.outputs[0]!.type = undefined;
      await expectNoise(engine, model, small, 'x', 'w', terms);
      expect(opsOf(small).ConvInteger).toBe(1);
    }
  });

  test('scales differ by channel though the kernel takes one zero point', async () => {
    const text = `main (float[1,16,6,6] x) => (float[1,2,6,6] y)
      < float[2,16,1,1] a = normal(seed=1), float[2,1,1,1] f = {1, 0.001} >
      { w = Mul(a, f) y = Conv(x, w) }`;
    const { model: folded } = await simplify(parseModel(text), {}, { engine });
    const run = async (perChannel: boolean) => {
      const { model } = await applyPass(folded, dynamic, { ...conv, ...all, perChannel });
      const { feeds, outputs } = await runModel(engine, folded);
      const found = await firstOutput(engine, model, feeds);
      return snr(float32Of(outputs.y!).subarray(36), found.subarray(36));
    };
    expect(await run(true)).toBeGreaterThan(30);
    expect(await run(false)).toBeLessThan(10);
  });

  test('depthwise and grouped ones are refused, and all without the option', async () => {
    const text = `main (float[1,16,8,8] x) => (float[1,16,6,6] y) < float[16,1,3,3] w = normal() >
      { y = Conv<group = 16>(x, w) }`;
    expect((await quantized(text, { ...conv, ...all })).report.skipped[0]!.reason).toBe(
      'integer kernels are slower than float for grouped and depthwise Conv',
    );
    expect((await quantized(text)).report.skipped[0]!.reason).toBe(
      'dynamic convolutions are off (option conv)',
    );
  });
});

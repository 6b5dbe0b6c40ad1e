import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseModel } from '../graph/parse.js';
import { runModel } from '../testing/node-models.js';
import type { Engine } from './engine.js';
import { hostTensor } from './host-tensor.js';
import { createNodeEngine } from './node.js';
import { sumsSaturate } from './saturation.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** 256 products of the largest input with a weight, summed by a quantized convolution, in percent. */
async function sumOf(weight: number): Promise<number> {
  const weights = Array.from({ length: 16 * 256 }, () => weight).join(',');
  const percent = (256 * 255 * weight) / 100;
  const model = parseModel(`<ir_version: 9, opset_import: ["" : 13]>
    main (uint8[1,16,4,4] a) => (uint8[1,16,1,1] y)
    < int8[16,16,4,4] w = {${weights}}, float one = {1}, float scale = {${percent}},
      uint8 za = {0}, int8 zw = {0}, uint8 zy = {0} >
    { y = QLinearConv(a, one, za, w, one, zw, scale, zy) }`);
  const a = hostTensor('uint8', [1, 16, 4, 4], new Uint8Array(256).fill(255));
  const { outputs } = await runModel(engine, model, { a });
  return Number(outputs.y!.data[0]);
}

test('says what convolutions of full range do; weights of 7 bits are right on every machine', async () => {
  const saturates = await sumsSaturate(engine);
  expect((await sumOf(127)) < 100).toBe(saturates);
  expect(await sumOf(63)).toBe(100);
});

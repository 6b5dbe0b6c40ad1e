import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { applyPass } from '../../pass.js';
import { opsOf, runModel } from '../../testing/node-models.js';
import { fuseInput } from './fuse-input.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const pair = (type: string, back: string, scale = '0.1', zero = '3') => `
  main (${type}[256] x) => (${back}[256] y)
  < float s = {0.1}, ${type} z = {3}, float s2 = {${scale}}, ${back} z2 = {${zero}} >
  { d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s2, z2) y = Identity(q) }`;

test('the runtime makes of every byte itself again, whatever scale and zero point', async () => {
  const text = `main (uint8[256] x, float s, uint8 z) => (uint8[256] y)
    { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s, z) }`;
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const scales = fc.float({ min: Math.fround(1e-30), max: Math.fround(1e30), noNaN: true });
  await fc.assert(
    fc.asyncProperty(scales, fc.integer({ min: 0, max: 255 }), async (scale, zero) => {
      const feeds = {
        x: hostTensor('uint8', [256], bytes),
        s: hostTensor('float', [], Float32Array.of(scale)),
        z: hostTensor('uint8', [], Uint8Array.of(zero)),
      };
      const { outputs } = await runModel(engine, parseModel(text), feeds, 'disabled');
      expect(outputs.y!.data).toEqual(bytes);
    }),
    { numRuns: 40 },
  );
});

test('a pair with the same parameters goes, with what nobody needs any more', async () => {
  const { model, report } = await applyPass(parseModel(pair('uint8', 'uint8')), fuseInput, {});
  expect(opsOf(model)).toEqual({ Identity: 1 });
  expect(model.graph.initializers).toEqual([]);
  expect(report.changed).toHaveLength(1);
});

test.each([
  ['another scale', pair('uint8', 'uint8', '0.2'), 'scale 0.20000000298023224 and zero point 3'],
  ['another zero point', pair('uint8', 'uint8', '0.1', '4'), 'zero point 4'],
  ['another type', pair('uint8', 'int8'), 'it makes int8 of uint8'],
])('%s: the pair stays, with the reason', async (_, text, reason) => {
  const { model, report } = await applyPass(parseModel(text), fuseInput, {});
  expect(opsOf(model).QuantizeLinear).toBe(1);
  expect(report.skipped[0]!.reason).toContain(reason);
});

test('a graph input does not become a graph output', async () => {
  const text = `main (uint8[4] x) => (uint8[4] y) < float s = {0.1}, uint8 z = {3} >
    { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s, z) }`;
  const { model, report } = await applyPass(parseModel(text), fuseInput, {});
  expect(opsOf(model).QuantizeLinear).toBe(1);
  expect(report.skipped[0]!.reason).toBe('it joins a graph input to a graph output');
});

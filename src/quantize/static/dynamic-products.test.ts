import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { createRandom } from '../../random.js';
import { expectClose, integerOps, quantizeStatic } from '../../testing/node-static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/**
 * The middle product is of a spectrum: most of its input is 10,000 times smaller than the rest,
 * and a logarithm behind it makes all of it count.
 */
const spectral = `main (float[4,16] x) => (float[4,16] y)
  < float[16,16] aw = normal(seed=1, std=0.3), float[16,16] mw = identity, float[16,16] bw = normal(seed=2, std=0.3),
    float[16,16] cw = normal(seed=3, std=0.3), float[1,16] steps = STEPS, float tiny = {0.000001} >
  { [a] p = MatMul(x, aw) e = Mul(p, p) f = Mul(e, steps) [m] q = MatMul(f, mw)
    g = Add(q, tiny) l = Log(g) [b] r = MatMul(l, bw) t = Tanh(r) [c] y = MatMul(t, cw) }`
  .replace(
    'STEPS',
    `{${Array.from({ length: 16 }, (_, i) => (i % 4 === 0 ? 1 : 1e-4)).join(', ')}}`,
  )
  .replace(
    'identity',
    `{${Array.from({ length: 256 }, (_, i) => (i % 17 === 0 ? 1 : 0)).join(', ')}}`,
  );

function samples(count: number) {
  const random = createRandom(5);
  return Array.from({ length: count }, () => ({
    x: hostTensor(
      'float',
      [4, 16],
      Float32Array.from({ length: 64 }, () => random.normal()),
    ),
  }));
}

test('a product that the outputs do not bear stays float, the others do not', async () => {
  const { model, small, report, feeds } = await quantizeStatic(engine, spectral, {}, samples(4));
  const changed = report.changed.map(({ node }) => node);
  expect(changed).toEqual(['a', 'b', 'c']);
  const left = report.skipped.find(({ node }) => node === 'm');
  expect(left?.reason).toMatch(/^it would disturb the outputs: SNR -?\d+\.\d dB with this product/);
  expect((await integerOps(engine, small)).DynamicQuantizeMatMul).toBe(3);
  await expectClose(engine, model, small, feeds[0]!, 17);
});

test('all are static, or float, on request', async () => {
  const fixed = await quantizeStatic(engine, spectral, { matMul: 'static' }, samples(4));
  expect((await integerOps(engine, fixed.small)).DynamicQuantizeMatMul).toBeUndefined();
  expect(fixed.report.changed.map(({ node }) => node)).toContain('m');
  const float = await quantizeStatic(engine, spectral, { matMul: 'float' }, samples(4));
  expect(float.report.changed).toEqual([]);
});

test('a product of two computed values says so', async () => {
  const { report } = await quantizeStatic(
    engine,
    'main (float[2,2] x) => (float[2,2] y) { [square] y = MatMul(x, x) }',
  );
  expect(report.skipped[0]?.reason).toMatch(/^its weight is/);
});

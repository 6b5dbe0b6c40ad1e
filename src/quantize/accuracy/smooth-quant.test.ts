import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { applyPass } from '../../pass.js';
import { createRandom } from '../../random.js';
import { firstOutput, opsOf, rms, usedTooEarly } from '../../testing/node-models.js';
import { samplesOf } from '../../testing/node-static.js';
import { safeWeights } from '../../testing/weight-bits.js';
import { staticScheme } from '../static.js';
import { smoothQuant } from './smooth-quant.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Channels that hang together, two of them thirty times as large as the others. */
function samples(count: number, seed: number): Feeds[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const data = new Float32Array(6 * 16);
    for (let row = 0; row < 6; row++) {
      const common = random.normal();
      for (let c = 0; c < 16; c++) {
        const size = c === 3 || c === 11 ? 30 : 1;
        data[row * 16 + c] = size * (0.6 * common + 0.8 * random.normal());
      }
    }
    return { x: hostTensor('float', [1, 6, 16], data) };
  });
}

const weights = `float[16,16] q = normal(seed=1), float[16,16] k = normal(seed=2),
  float[16,8] v = normal(seed=3), float[16] g = normal(seed=4), float[16] h = normal(seed=5),
  float[16] big = {1,1,1,30,1,1,1,1,1,1,1,30,1,1,1,1}, int64[2] rows = {6,16}`;
const model = (body: string, outputs = 'float[1,6,16] y', extra = '') =>
  parseModel(`main (float[1,6,16] x) => (${outputs}) < ${weights}${extra} > { ${body} }`);

async function smoothed(text: Model, options = {}) {
  const context = { engine, samples: samplesOf(samples(24, 1)) };
  const { model: smooth, report } = await applyPass(text, smoothQuant, options, context);
  expect(usedTooEarly(smooth.graph)).toEqual([]);
  for (const feeds of samples(4, 50)) {
    const goal = await firstOutput(engine, text, feeds, 'disabled');
    const found = await firstOutput(engine, smooth, feeds, 'disabled');
    expect(rms(goal, found) / rms(goal)).toBeLessThan(1e-5);
  }
  return { smooth, report, context };
}

/** Relative error of static int8 on samples that nobody has seen. */
async function noiseOf(original: Model, prepared: Model, context: object): Promise<number> {
  const products = await safeWeights(engine, { matMul: 'static' as const });
  const { model: small } = await applyPass(prepared, staticScheme, products, context);
  let noise = 0;
  for (const feeds of samples(12, 77)) {
    const goal = await firstOutput(engine, original, feeds);
    noise += (rms(goal, await firstOutput(engine, small, feeds)) / rms(goal)) ** 2;
  }
  return noise;
}

const norm = 'n = LayerNormalization(x, big, h)';
const producers: [string, Model, string, string[]?][] = [
  ['a normalization', model(`["n"] ${norm} ["a"] y = MatMul(n, q)`), 'in n'],
  [
    'the Mul and Add of a decomposed one',
    model('["m"] s = Mul(x, g) t = Add(s, h) ["a"] y = MatMul(t, q)'),
    'in m',
  ],
  [
    'a layer, through Relu',
    model('["f"] f = MatMul(x, k) b = Add(f, big) r = Relu(b) ["a"] y = MatMul(r, q)'),
    'in f',
    ['f'],
  ],
  ['nothing: the input of the model', model('["a"] y = MatMul(x, q)'), 'by a Mul'],
  [
    'a normalization that a sum takes too',
    model(`${norm} ["a"] a = MatMul(n, q) y = Add(a, n)`),
    'by a Mul',
  ],
  [
    'a normalization behind a reshape, for Gemm',
    model(`["n"] ${norm} t = Reshape(n, rows) ["a"] y = Gemm(t, q, g)`, 'float[6,16] y'),
    'in n',
  ],
];

describe('smooth-quant', () => {
  test.each(producers)('the factor goes into %s', async (...given) => {
    const [, text, place, exclude = []] = given;
    const { smooth, report, context } = await smoothed(text, { exclude });
    const change = report.changed.find(({ node }) => node === 'a')!;
    expect(change.what).toContain(`input scaled ${place},`);
    const muls = (of: Model) => opsOf(of).Mul ?? 0;
    expect(muls(smooth) - muls(text)).toBe(place === 'by a Mul' ? 1 : 0);
    expect(await noiseOf(text, smooth, context)).toBeLessThan(await noiseOf(text, text, context));
  });

  test('one factor serves queries, keys and values, each behind a reshape of its own', async () => {
    const text = model(
      `["n"] ${norm} a = Reshape(n, rows) b = Reshape(n, rows)
      ["q"] c = MatMul(a, q) ["k"] d = MatMul(b, k) ["v"] e = MatMul(n, v)
      s = Add(c, d) y = Add(s, z)`,
      'float[6,16] y, float[1,6,8] e',
      ', float[16] z = normal(seed=9)',
    );
    const { report, smooth } = await smoothed(text);
    const told = report.changed.map(({ node, what }) => [node, what.split(',')[0]]);
    expect(told).toEqual(['q', 'k', 'v'].map((node) => [node, 'input scaled in n']));
    expect(opsOf(smooth)).toEqual(opsOf(text));
  });

  test('no Mul where it would gain too little, and reasons for what is left alone', async () => {
    const text = model(
      '["a"] a = MatMul(x, q) ["b"] b = MatMul(a, k) ["c"] y = MatMul(b, a2)',
      undefined,
      ', float[16,16] a2 = normal(seed=7)',
    );
    const options = { leastGainDb: 300, exclude: ['c'] };
    const { report } = await smoothed(text, options);
    const skipped = new Map(report.skipped.map(({ node, reason }) => [node, reason]));
    expect(skipped.get('a')).toContain('less than leastGainDb');
    expect(skipped.get('c')).toBe('excluded by the caller');
    const off = await smoothed(text, { matMul: false });
    expect(off.report.changed).toEqual([]);
  });

  test('without samples it says what it needs', async () => {
    await expect(
      applyPass(model('y = MatMul(x, q)'), smoothQuant, {}, { engine }),
    ).rejects.toMatchObject({ code: 'usage' });
  });
});

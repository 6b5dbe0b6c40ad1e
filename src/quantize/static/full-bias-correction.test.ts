import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { createRandom } from '../../random.js';
import { runModel } from '../../testing/node-models.js';
import { quantizeStatic } from '../../testing/node-static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

function samples(dims: readonly number[]): Feeds[] {
  const random = createRandom(4);
  const size = dims.reduce((product, dim) => product * dim, 1);
  return Array.from({ length: 6 }, () => ({
    x: hostTensor(
      'float',
      dims,
      Float32Array.from({ length: size }, () => 0.5 + random.normal()),
    ),
  }));
}

/** Largest mean error of a channel of y, with channels on this axis. */
async function meanError(model: Model, small: Model, feeds: Feeds[], axis: number) {
  const sums: number[] = [];
  for (const feed of feeds) {
    const exact = (await runModel(engine, model, feed)).outputs.y!;
    const rounded = float32Of((await runModel(engine, small, feed)).outputs.y!);
    const inner = exact.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    for (const [i, value] of float32Of(exact).entries()) {
      const channel = Math.floor(i / inner) % exact.dims[axis]!;
      sums[channel] = (sums[channel] ?? 0) + (rounded[i]! - value) / rounded.length;
    }
  }
  return Math.max(...sums.map(Math.abs));
}

const padded = `main (float[1,4,5,5] x) => (float[1,4,5,5] y)
  < float[8,4,3,3] a = normal(seed=1), float[8,1,3,3] d = normal(seed=2),
    float[4,8,3,3] c = normal(seed=3), float[4,4,3,3] e = normal(seed=5),
    float zero = {0}, float six = {6} >
  { p = Conv<pads=[1,1,1,1]>(x, a) q = Clip(p, zero, six)
    r = Conv<group=8, pads=[1,1,1,1]>(q, d) s = Relu(r)
    t = Conv<pads=[1,1,1,1]>(s, c) u = Add(t, x) ["last"] y = Conv<pads=[1,1,1,1]>(u, e) }`;

test('the mean of the last layer is right, borders and earlier layers included', async () => {
  const model = parseModel(padded);
  const feeds = samples([1, 4, 5, 5]);
  const errorOf = async (biasCorrection: 'fast' | 'full') => {
    const options = { biasCorrection, perChannel: false, reduceRange: true };
    const { small, report } = await quantizeStatic(engine, model, options, feeds);
    const note = report.notes.find((each) => each.startsWith('bias correction'));
    expect(note).toBe(
      biasCorrection === 'full'
        ? 'bias correction: 4 of 4 layers in order, 4 passes over the samples'
        : undefined,
    );
    return meanError(model, small, feeds, 1);
  };
  expect(await errorOf('full')).toBeLessThan((await errorOf('fast')) / 4);
});

test('layers beside each other share a pass', async () => {
  const model = parseModel(`main (float[1,4,3,3] x) => (float[1,4,3,3] y)
    < float[4,4,1,1] a = normal(seed=1), float[4,4,1,1] b = normal(seed=2),
      float[4,4,1,1] c = normal(seed=3) >
    { p = Conv(x, a) q = Conv(x, b) s = Add(p, q) ["last"] y = Conv(s, c) }`);
  const { report } = await quantizeStatic(
    engine,
    model,
    { biasCorrection: 'full' },
    samples([1, 4, 3, 3]),
  );
  expect(report.notes).toContain(
    'bias correction: 3 of 3 layers in order, 2 passes over the samples',
  );
});

test.each(['fast', 'full'] as const)(
  'the Add behind a MatMul takes the correction, %s; a MatMul without one keeps its error',
  async (biasCorrection) => {
    const model = parseModel(`main (float[1,6,8] x) => (float[1,6,4] y)
      < float[8,8] a = normal(seed=1), float[8] b = normal(seed=2),
        float[8,8] c = normal(seed=3), float[8,4] d = normal(seed=5), float[4] e = normal(seed=6) >
      { p = MatMul(x, a) q = Add(p, b) r = MatMul(q, c) s = MatMul(r, d) y = Add(e, s) }`);
    const feeds = samples([1, 6, 8]);
    const errorOf = async (correction: 'off' | 'fast' | 'full') => {
      const options = {
        biasCorrection: correction,
        matMul: 'static' as const,
        perChannel: false,
        reduceRange: true,
      };
      const { small } = await quantizeStatic(engine, model, options, feeds);
      return meanError(model, small, feeds, 2);
    };
    expect(await errorOf(biasCorrection)).toBeLessThan((await errorOf('off')) / 1.5);
  },
);

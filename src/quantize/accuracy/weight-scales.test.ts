import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { applyPass } from '../../pass.js';
import { createRandom } from '../../random.js';
import { firstOutput, snr } from '../../testing/node-models.js';
import { samplesOf } from '../../testing/node-static.js';
import { staticScheme } from '../static.js';
import { learnedRounding } from './learned-rounding.js';
import { type ScaledRow, searchScale } from './search-scale.js';
import { weightScales } from './weight-scales.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** e' C e, in plain loops. */
function errorOf({ weights, covariance }: ScaledRow, share: number, limit: number): number {
  const scale = (share * Math.max(...weights.map(Math.abs))) / limit;
  const e = [...weights].map(
    (w) => Math.max(-limit, Math.min(limit, Math.round(w / scale))) * scale - w,
  );
  let sum = 0;
  for (const [i, a] of e.entries()) {
    for (const [j, b] of e.entries()) {
      sum += a * b * (covariance ? covariance[i * e.length + j]! : Number(i === j));
    }
  }
  return sum;
}

describe('the share of the largest weight that is kept', () => {
  const row = fc.record({
    seed: fc.integer({ min: 1, max: 1e6 }),
    features: fc.integer({ min: 1, max: 12 }),
    limit: fc.constantFrom(1, 7, 63, 127),
    known: fc.boolean(),
  });

  test('never has a larger error than keeping all of it', () => {
    fc.assert(
      fc.property(row, ({ seed, features, limit, known }) => {
        const random = createRandom(seed);
        const normal = (length: number) => Float64Array.from({ length }, () => random.normal());
        const samples = Array.from({ length: 3 }, () => normal(features));
        const covariance = Float64Array.from({ length: features ** 2 }, (_, at) =>
          samples.reduce((s, x) => s + x[Math.floor(at / features)]! * x[at % features]!, 0),
        );
        const one = {
          weights: normal(features),
          covariance: known ? covariance : undefined,
          start: 0,
          damping: 0,
        };
        const share = searchScale([one], limit);
        expect(share).toBeGreaterThan(0.49);
        expect(share).toBeLessThanOrEqual(1);
        const [found, whole] = [errorOf(one, share, limit), errorOf(one, 1, limit)];
        expect(found).toBeLessThanOrEqual(whole * (1 + 1e-9) + 1e-12);
      }),
    );
  });

  test('clips an outlier that few bits would spend their steps on', () => {
    const weights = Float64Array.from({ length: 64 }, (_, i) => (i === 9 ? 4 : Math.sin(3 * i)));
    const one = { weights, covariance: undefined, start: 0, damping: 0 };
    expect(searchScale([one], 3)).toBeLessThan(1);
    expect(searchScale([{ ...one, weights: new Float64Array(8) }], 7)).toBe(1);
  });
});

const network = `main (float[1,4,9,9] x) => (float[1,5] y)
  < float[8,4,3,3] v = normal(seed=1), float[8] b = normal(seed=2),
    float[8,1,3,3] d = normal(seed=3), float[8,5] m = normal(seed=6) >
  { ["first"] c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, v, b) r = Relu(c)
    ["depthwise"] e = Conv<group=8, pads=[1,1,1,1]>(r, d)
    p = GlobalAveragePool(e) q = Flatten(p)
    ["last"] y = Gemm<alpha=0.5>(q, m) }`;

function samples(count: number, seed: number): Feeds[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const common = random.normal();
    const data = Float32Array.from({ length: 324 }, () => 0.4 + common + 0.4 * random.normal());
    return { x: hostTensor('float', [1, 4, 9, 9], data) };
  });
}

describe('weight scales', () => {
  test.each([false, true])(
    'static takes the scales that were chosen, rounding first: %s',
    async (round) => {
      const context = { engine, samples: samplesOf(samples(12, 1)) };
      const model = parseModel(network);
      const { model: scaled } = round
        ? await applyPass(model, learnedRounding, { scales: 'search' }, context)
        : await applyPass(model, weightScales, {}, context);
      const { model: quantized } = await applyPass(scaled, staticScheme, {}, context);
      const floats = await scaled.graph.value('v').initializer!.floats();
      const before = await model.graph.value('v').initializer!.floats();
      const codes = await quantized.graph.value('v_quantized').initializer!.numbers();
      const scales = await quantized.graph.value('v_scale').initializer!.floats();
      for (const [i, w] of floats.entries()) {
        const scale = scales[Math.floor(i / 36)]!;
        expect(Math.abs(w)).toBeLessThanOrEqual(127 * scale * (1 + 1e-6));
        if (round) expect(codes[i]! * scale).toBeCloseTo(w, 6);
        else if (w !== before[i]) expect(Math.abs(codes[i]!)).toBe(127);
      }
    },
  );

  test('with three bits and rounding by samples the outputs come nearer', async () => {
    const context = { engine, samples: samplesOf(samples(24, 1)) };
    const model = parseModel(network);
    const rounded = async (scales: 'largest' | 'search') =>
      (await applyPass(model, learnedRounding, { bits: 3, scales }, context)).model;
    const [better, plain] = [await rounded('search'), await rounded('largest')];
    let [least, most] = [0, 0];
    for (const feeds of samples(16, 99)) {
      const goal = await firstOutput(engine, model, feeds);
      least += 10 ** (-snr(goal, await firstOutput(engine, better, feeds)) / 10);
      most += 10 ** (-snr(goal, await firstOutput(engine, plain, feeds)) / 10);
    }
    expect(least).toBeLessThan(most);
  });

  test('the mean of what clipping takes away goes into the bias', async () => {
    // One input channel has a mean, and only its weight is large.
    const model = parseModel(`main (float[1,4] x) => (float[1,1] y)
      < float[4,1] w = {0.11, 0.22, 0.31, 1.7} > { ["a"] y = Gemm(x, w) }`);
    const feeds = Array.from({ length: 16 }, (_, i) => {
      const row = [Math.sin(9 * i), Math.cos(7 * i), Math.sin(5 * i + 1), 2];
      return { x: hostTensor('float', [1, 4], Float32Array.from(row)) };
    });
    const context = { engine, samples: samplesOf(feeds) };
    const { model: clipped, report } = await applyPass(model, weightScales, { bits: 3 }, context);
    expect(report.changed.map(({ node }) => node)).toEqual(['a']);
    expect((await clipped.graph.value('w').initializer!.floats())[3]).toBeLessThan(1.7);
    for (const feed of feeds) {
      const goal = await firstOutput(engine, model, feed);
      expect((await firstOutput(engine, clipped, feed))[0]).toBeCloseTo(goal[0]!, 4);
    }
  });

  test('by outputs it needs samples, by weights it does not', async () => {
    const model = parseModel(network);
    await expect(applyPass(model, weightScales, {}, { engine })).rejects.toMatchObject({
      code: 'usage',
    });
    const options = { by: 'weights', bits: 4, perChannel: false } as const;
    const { report } = await applyPass(model, weightScales, options, { engine });
    expect([...report.changed, ...report.skipped].map(({ node }) => node).sort()).toEqual([
      'depthwise',
      'first',
      'last',
    ]);
  });
});

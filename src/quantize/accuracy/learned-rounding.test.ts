import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { float32Of, hostTensor, randomFeeds } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { patchLayouts } from '../../measure/input-patches.js';
import { Tensor } from '../../onnx/tensor.js';
import { applyPass } from '../../pass.js';
import { firstOutput, runModel, snr } from '../../testing/node-models.js';
import { staticScheme } from '../static.js';
import { learnedRounding } from './learned-rounding.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Samples whose channels hang together, as those of real layers do. */
function correlated(dims: readonly number[], count: number) {
  const feeds: Feeds[] = [];
  for (let seed = 0; seed < count; seed++) {
    const port = { name: 'x', dataType: 'float' as const, dims };
    const data = float32Of(randomFeeds([port], { seed }).x!);
    const [, channels = 1] = dims;
    const area = data.length / channels;
    for (let i = area; i < data.length; i++) data[i] = 0.3 * data[i]! + data[i - area]! + 0.2;
    feeds.push({ x: hostTensor('float', dims, data) });
  }
  return async function* () {
    yield* feeds;
  };
}

const network = `main (float[1,4,9,9] x) => (float[1,5] y)
  < float[8,4,3,3] v = normal(seed=1), float[8] b = normal(seed=2),
    float[8,1,3,3] d = normal(seed=3), float[8,4,1,1] g = normal(seed=4), float[8] z = normal(seed=5),
    float[8,5] m = normal(seed=6) >
  { ["first"] c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, v, b) r = Relu(c)
    ["depthwise"] e = Conv<group=8, pads=[1,1,1,1]>(r, d)
    ["grouped"] f = Conv<group=2>(e, g, z)
    p = GlobalAveragePool(f) q = Flatten(p)
    ["last"] y = Gemm<alpha=0.5>(q, m) }`;

async function round(model: Model, options = {}) {
  const samples = correlated([1, 4, 9, 9], 12);
  const context = { engine, samples };
  return { context, ...(await applyPass(model, learnedRounding, options, context)) };
}

describe('learned rounding', () => {
  test.each([{}, { reduceRange: true }, { perChannel: false }])(
    'static stores the very integers that were chosen: %j',
    async (options) => {
      const model = parseModel(network);
      const { model: rounded, report, context } = await round(model, options);
      expect(report.changed.map(({ node }) => node)).toEqual([
        'first',
        'depthwise',
        'grouped',
        'last',
      ]);
      const { model: quantized } = await applyPass(rounded, staticScheme, options, context);
      for (const [name, factor] of [
        ['v', 1],
        ['d', 1],
        ['g', 1],
        ['m', 0.5],
      ] as const) {
        const floats = await rounded.graph.value(name).initializer!.floats();
        const tensor = (kind: string) => quantized.graph.value(`${name}_${kind}`).initializer!;
        const codes = await tensor('quantized').numbers();
        const scales = await tensor('scale').floats();
        const original = await model.graph.value(name).initializer!.floats();
        expect([...floats]).not.toEqual([...original]);
        const channels = scales.length;
        const inner = name === 'm' ? 1 : floats.length / channels;
        codes.forEach((code, i) => {
          const scale = scales[Math.floor(i / inner) % channels]!;
          const expected = floats[i]! * factor;
          expect(Math.abs(code * scale - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected));
        });
      }
    },
  );

  test('the outputs are nearer to those of the float model than with nearest rounding', async () => {
    // Seven bits, so that the rounding of weights stands out.
    const options = { reduceRange: true };
    const model = parseModel(network);
    const { model: rounded, context } = await round(model, options);
    const nearest = await withNearest(model, 63);
    let learnedNoise = 0;
    let nearestNoise = 0;
    for await (const feeds of context.samples()) {
      const reference = await firstOutput(engine, model, feeds);
      learnedNoise += 10 ** (-snr(reference, await firstOutput(engine, rounded, feeds)) / 10);
      nearestNoise += 10 ** (-snr(reference, await firstOutput(engine, nearest, feeds)) / 10);
    }
    expect(learnedNoise).toBeLessThan(nearestNoise / 2);
  });

  test('the same seed gives the same model, and the input model stays', async () => {
    const model = parseModel(network);
    const before = await model.graph.value('v').initializer!.floats();
    const first = await round(model);
    const second = await round(model);
    const weight = async ({ model: { graph } }: { model: Model }) => [
      ...(await graph.value('v').initializer!.floats()),
    ];
    expect(await weight(first)).toEqual(await weight(second));
    expect(await weight({ model })).toEqual([...before]);
  });

  test('what is left alone is named', async () => {
    const { report } = await round(parseModel(network), {
      exclude: ['depthwise'],
      maxFeatures: 20,
    });
    expect(report.skipped).toEqual([
      {
        node: 'first',
        op: 'Conv',
        reason: 'an output sees 36 inputs, more than maxFeatures 20',
      },
      { node: 'depthwise', op: 'Conv', reason: 'excluded by the caller' },
    ]);
  });

  test('without samples it says what it needs', async () => {
    await expect(
      applyPass(parseModel(network), learnedRounding, {}, { engine }),
    ).rejects.toMatchObject({ code: 'usage' });
  });
});

async function withNearest(model: Model, limit: number): Promise<Model> {
  const { model: copy } = await applyPass(
    model,
    learnedRounding,
    { exclude: ['op:*'] },
    { engine },
  );
  for (const [name, axis] of [
    ['v', 0],
    ['d', 0],
    ['g', 0],
    ['m', 1],
  ] as const) {
    const value = copy.graph.value(name);
    const floats = (await value.initializer!.floats()).slice();
    const dims = value.initializer!.dims;
    const channels = dims[axis]!;
    const channelOf = (i: number) =>
      axis === 1 ? i % channels : Math.floor(i / (floats.length / channels));
    const peaks = new Float64Array(channels);
    floats.forEach((w, i) => {
      peaks[channelOf(i)] = Math.max(peaks[channelOf(i)]!, Math.abs(w));
    });
    value.initializer = Tensor.of(
      'float',
      dims,
      floats.map((w, i) => {
        const scale = peaks[channelOf(i)]! / limit;
        return Math.round(w / scale) * scale;
      }),
    );
  }
  return copy;
}

describe('windows of a convolution', () => {
  test.each([
    ['float[2,4,7,8]', 'float[6,2,3,2]', 'group=2, pads=[1,0,2,1], strides=[2,1], dilations=[1,2]'],
    ['float[1,3,9,7]', 'float[4,3,3,3]', 'auto_pad="SAME_UPPER", strides=[2,3]'],
    ['float[1,3,8,7]', 'float[4,3,2,4]', 'auto_pad="SAME_LOWER", strides=[1,2]'],
    ['float[1,3,8,7]', 'float[4,3,3,3]', 'auto_pad="VALID"'],
    ['float[2,3,11]', 'float[4,3,5]', 'pads=[2,1], strides=[2]'],
  ])('%s by %s, %s', async (input, weight, attributes) => {
    const axes = input.split(',').length - 2;
    const output = `float[${Array(axes + 2).fill('?')}]`;
    const text = `main (${input} x) => (${output} y) < ${weight} w = normal(seed=1) > { y = Conv<${attributes}>(x, w) }`;
    const model = parseModel(text);
    const { feeds, outputs } = await runModel(engine, model);
    const node = model.graph.nodes.first!;
    const tensor = model.graph.value('w').initializer!;
    const layout = patchLayouts.Conv!(node, tensor.dims);
    if ('reason' in layout) throw new Error(layout.reason);
    const weights = await tensor.floats();
    const y = outputs.y!;
    const [samples = 0, channels = 0] = y.dims;
    const positions = layout.positions(feeds.x!);
    expect(positions * channels).toBe(y.data.length);
    const { groups, features } = layout;
    const patch = new Float32Array(groups * features);
    const area = positions / samples;
    for (let position = 0; position < positions; position++) {
      layout.read(feeds.x!, position, patch, 0);
      for (let channel = 0; channel < channels; channel++) {
        const group = Math.floor((channel * groups) / channels);
        let sum = 0;
        for (let i = 0; i < features; i++) {
          sum += weights[channel * features + i]! * patch[group * features + i]!;
        }
        const at = (Math.floor(position / area) * channels + channel) * area + (position % area);
        expect(sum).toBeCloseTo(Number(y.data[at]), 4);
      }
    }
  });
});

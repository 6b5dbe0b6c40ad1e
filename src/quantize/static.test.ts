import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { Tensor } from '../onnx/tensor.js';
import { applyPass } from '../pass.js';
import { createRandom } from '../random.js';
import { runModel } from '../testing/node-models.js';
import {
  expectClose,
  integerOps,
  quantizeStatic,
  randomSamples,
  type StaticInput,
  samplesOf,
} from '../testing/node-static.js';
import { StatisticsCache } from './calibrate/cache.js';
import { staticScheme } from './static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** A convolution by name: weight, bias and node. */
const weights = (name: string, dims: string, outputs: number) =>
  `float${dims} ${name}w = normal(seed=${name.length + name.charCodeAt(0)}, std=0.2),
   float[${outputs}] ${name}b = normal(seed=${name.charCodeAt(0) + 7}, std=0.1)`;
const c4 = (...names: string[]) => names.map((name) => weights(name, '[4,4,3,3]', 4)).join(', ');
const conv = (name: string, x: string, y: string, attributes = 'pads = [1,1,1,1]') =>
  `[${name}] ${y} = Conv<${attributes}>(${x}, ${name}w, ${name}b)`;
const image = 'float[1,4,8,8]';

interface Pattern {
  readonly name: string;
  readonly text: string;
  /** What the runtime makes of it, but for QuantizeLinear and DequantizeLinear. */
  readonly ops: Record<string, number>;
  readonly options?: StaticInput;
  readonly snr?: number;
}

const patterns: readonly Pattern[] = [
  {
    name: 'Conv, Relu, Conv, Clip, Conv',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b', 'c')}, float zero = {0}, float six = {6} >
      { ${conv('a', 'x', 'p')} q = Relu(p) ${conv('b', 'q', 'r')} s = Clip(r, zero, six) ${conv('c', 's', 'y')} }`,
    ops: { QLinearConv: 3 },
  },
  {
    name: 'residual Add with a Relu behind',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b', 'c')} >
      { ${conv('a', 'x', 'p')} q = Relu(p) ${conv('b', 'q', 'r')} s = Add(r, q) t = Relu(s) ${conv('c', 't', 'y')} }`,
    ops: { QLinearConv: 3, QLinearAdd: 1 },
  },
  {
    name: 'Concat of branches',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')}, ${weights('c', '[4,8,3,3]', 4)} >
      { ${conv('a', 'x', 'p')} q = Relu(p) ${conv('b', 'x', 'r')} s = Relu(r)
        t = Concat<axis = 1>(q, s) ${conv('c', 't', 'y')} }`,
    ops: { QLinearConv: 3, QLinearConcat: 1 },
  },
  {
    name: 'Concat of a Relu and a branch without one',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')}, ${weights('c', '[4,8,3,3]', 4)} >
      { ${conv('a', 'x', 'p')} q = Relu(p) ${conv('b', 'x', 's')}
        t = Concat<axis = 1>(q, s) ${conv('c', 't', 'y')} }`,
    ops: { QLinearConv: 3, QLinearConcat: 1 },
  },
  {
    name: 'Concat of a Relu6 and a Relu',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')}, ${weights('c', '[4,8,3,3]', 4)}, float zero = {0}, float top = {0.5} >
      { ${conv('a', 'x', 'p')} q = Clip(p, zero, top) ${conv('b', 'x', 'r')} s = Relu(r)
        t = Concat<axis = 1>(q, s) ${conv('c', 't', 'y')} }`,
    ops: { QLinearConv: 3, QLinearConcat: 1 },
  },
  {
    name: 'MaxPool, GlobalAveragePool, Flatten, Gemm',
    text: `main (${image} x) => (float[1,3] y) < ${c4('a', 'b')}, ${weights('f', '[3,4]', 3)} >
      { ${conv('a', 'x', 'p')} q = Relu(p) r = MaxPool<kernel_shape = [2,2], strides = [2,2]>(q)
        ${conv('b', 'r', 's')} t = Relu(s) u = GlobalAveragePool(t) v = Flatten(u)
        [f] y = Gemm<transB = 1>(v, fw, fb) }`,
    ops: { QLinearConv: 2, MaxPool: 1, QLinearGlobalAveragePool: 1, Flatten: 1, QGemm: 1 },
  },
  {
    name: 'depthwise and grouped',
    text: `main (${image} x) => (${image} y) < ${weights('a', '[4,1,3,3]', 4)}, ${weights('b', '[4,2,3,3]', 4)} >
      { ${conv('a', 'x', 'p', 'pads = [1,1,1,1], group = 4')} ${conv('b', 'p', 'y', 'pads = [1,1,1,1], group = 2')} }`,
    ops: { QLinearConv: 2 },
  },
  {
    name: 'Conv of one dimension',
    text: `main (float[1,4,16] x) => (float[1,4,16] y) < ${weights('a', '[4,4,3]', 4)}, ${weights('b', '[4,4,3]', 4)} >
      { ${conv('a', 'x', 'p', 'pads = [1,1]')} q = Relu(p) ${conv('b', 'q', 'y', 'pads = [1,1]')} }`,
    ops: { QLinearConv: 2 },
  },
  {
    name: 'Gemm with factors, with and without transB',
    text: `main (float[2,4] x) => (float[2,3] y) < ${weights('f', '[4,5]', 5)}, ${weights('g', '[3,5]', 3)} >
      { [f] p = Gemm<alpha = 0.5, beta = 2.0>(x, fw, fb) q = Relu(p) [g] y = Gemm<transB = 1>(q, gw, gb) }`,
    ops: { QGemm: 2 },
  },
  {
    name: 'one value shared by two convolutions and a pool',
    text: `main (${image} x) => (${image} y, ${image} z) < ${c4('a', 'b', 'c', 'd')} >
      { ${conv('a', 'x', 'p')} q = Relu(p) ${conv('b', 'q', 'y')} ${conv('c', 'q', 'r')}
        m = MaxPool<kernel_shape = [1,1]>(q) s = Add(m, r) ${conv('d', 's', 'z')} }`,
    ops: { QLinearConv: 4, MaxPool: 1, QLinearAdd: 1 },
  },
  {
    name: 'a Relu behind a pool: the pool keeps its one scale',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')} >
      { ${conv('a', 'x', 'p')} q = MaxPool<kernel_shape = [1,1]>(p) [relu] r = Relu(q) ${conv('b', 'r', 'y')} }`,
    ops: { QLinearConv: 2, MaxPool: 1 },
  },
  {
    name: 'a Relu behind a Concat',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')}, ${weights('c', '[4,8,3,3]', 4)} >
      { ${conv('a', 'x', 'p')} ${conv('b', 'x', 'q')} r = Concat<axis = 1>(p, q) s = Relu(r) ${conv('c', 's', 'y')} }`,
    ops: { QLinearConv: 3, QLinearConcat: 1 },
  },
  {
    name: 'a Relu whose input has a second user',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b', 'c')} >
      { ${conv('a', 'x', 'p')} [relu] q = Relu(p) ${conv('b', 'q', 'r')} ${conv('c', 'p', 's')} [add] y = Add(r, s) }`,
    ops: { QLinearConv: 3, Add: 1 },
  },
  {
    name: 'bounds that the range behind them leaves',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')}, float low = {-0.3}, float high = {0.5} >
      { ${conv('a', 'x', 'p')} [clip] q = Clip(p, low, high) ${conv('b', 'q', 'y')} }`,
    ops: { QLinearConv: 2, Clip: 1 },
  },
  {
    name: 'a bound that float32 cannot divide by 255 steps',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')}, float low = {0}, float high = {0.7300001} >
      { ${conv('a', 'x', 'p')} [clip] q = Clip(p, low, high) ${conv('b', 'q', 'y')} }`,
    options: { calibrator: 'min-max' },
    ops: { QLinearConv: 2 },
  },
  {
    name: 'symmetric int8 activations keep the Relu',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')} >
      { ${conv('a', 'x', 'p')} [relu] q = Relu(p) ${conv('b', 'q', 'y')} }`,
    options: { activations: 'int8', symmetric: true },
    ops: { QLinearConv: 2, Relu: 1 },
  },
  {
    name: 'int8 activations',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')} >
      { ${conv('a', 'x', 'p')} [relu] q = Relu(p) ${conv('b', 'q', 'y')} }`,
    options: { activations: 'int8' },
    ops: { QLinearConv: 2 },
  },
  {
    name: 'one scale per weight and seven bits',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b')} >
      { ${conv('a', 'x', 'p')} q = Relu(p) ${conv('b', 'q', 'y')} }`,
    options: { perChannel: false, reduceRange: true },
    ops: { QLinearConv: 2 },
    snr: 20,
  },
  {
    name: 'constants beside values, and an operator without a kernel, stay float',
    text: `main (${image} x) => (${image} y) < ${c4('a', 'b', 'c')}, float half = {0.5}, float[1,4,1,1] shift = {1, 2, 3, 4} >
      { ${conv('a', 'x', 'p')} [mul] q = Mul(p, half) [add] r = Add(q, shift) ${conv('b', 'r', 's')}
        [tanh] t = Tanh(s) ${conv('c', 't', 'y')} }`,
    ops: { QLinearConv: 3, Mul: 1, Add: 1, Tanh: 1 },
  },
  {
    name: 'Slice and Reshape carry, Pad between them does not',
    text: `main (${image} x) => (float[1,2,10,10] y) < ${c4('a')}, ${weights('b', '[2,2,1,1]', 2)},
        int64[1] from = {0}, int64[1] to = {2}, int64[1] axis = {1}, int64[4] dims = {1, 2, 4, 16},
        int64[4] back = {1, 2, 8, 8}, int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1} >
      { ${conv('a', 'x', 'p')} q = Slice(p, from, to, axis) r = Reshape(q, dims) s = Reshape(r, back)
        [pad] t = Pad(s, pads) ${conv('b', 't', 'y', 'strides = [1,1]')} }`,
    ops: { QLinearConv: 2, Slice: 1, Reshape: 2, Pad: 1 },
  },
];

describe('integer kernels are reached', () => {
  test.each(patterns)('$name', async ({ text, ops, options = {}, snr = 25 }) => {
    const { model, small, feeds } = await quantizeStatic(engine, text, options);
    expect(await integerOps(engine, small)).toEqual(ops);
    await expectClose(engine, model, small, feeds[0]!, snr);
  });
});

const chain = `main (${image} x) => (${image} y) < ${c4('a', 'b')} >
  { ${conv('a', 'x', 'p')} [relu] q = Relu(p) ${conv('b', 'q', 'y')} }`;
const full = (model: Parameters<typeof printModel>[0]) => printModel(model, { weights: 'full' });
const reasons = (report: { skipped: readonly { node: string; reason: string }[] }) =>
  Object.fromEntries(report.skipped.map(({ node, reason }) => [node, reason]));

describe('what stays float, and why', () => {
  test('every node of a mixed model is accounted for', async () => {
    const { model, report } = await quantizeStatic(
      engine,
      `main (${image} x, bool c) => (${image} y)
       < ${c4('a', 'b')}, float half = {0.5}, float16[4,4,3,3] hw = normal(seed=1, std=0.1) >
       { ${conv('a', 'x', 'p')} [tanh] q = Tanh(p) [mul] r = Mul(q, half) ${conv('b', 'r', 's')}
         [cast] h = Cast<to = 10>(s) [half] i = Conv<pads = [1,1,1,1]>(h, hw) [back] j = Cast<to = 1>(i)
         [if] y = If(c) <then_branch = yes () => (${image} t) { [inner] t = Relu(j) },
                         else_branch = no () => (${image} e) { [other] e = Conv<pads = [1,1,1,1]>(j, aw) }> }`,
    );
    expect(report.changed.map(({ node }) => node)).toEqual(['a', 'b']);
    expect(reasons(report)).toEqual({
      tanh: 'Tanh has no integer kernel',
      mul: 'its input "q" is float',
      cast: 'Cast has no integer kernel',
      half: 'its weight is float16, integer kernels take float32',
      back: 'Cast has no integer kernel',
      if: 'If has no integer kernel',
      inner: 'inside the body of If "if", whose values are not calibrated',
      other: 'inside the body of If "if", whose values are not calibrated',
    });
    const told = new Set([...report.changed, ...report.skipped].map(({ node }) => node));
    for (const node of model.allNodes()) expect(told).toContain(node.label);
  });

  test('a pool of an opset whose dilations the integer kernel does not know', async () => {
    const text = (opset: number) => `<ir_version: 9, opset_import: ["": ${opset}]>
      main (${image} x) => (${image} y) < ${c4('a', 'b')} >
      { ${conv('a', 'x', 'p')} [pool] q = AveragePool<kernel_shape = [3,3], pads = [1,1,1,1]>(p)
        ${conv('b', 'q', 'y')} }`;
    const { report } = await quantizeStatic(engine, text(19));
    expect(reasons(report)).toEqual({
      pool: 'the integer kernel of AveragePool does not know its dilations, an attribute since opset 19',
    });
    expect(reasons((await quantizeStatic(engine, text(18))).report)).toEqual({});
  });

  test('a float value with integer and float users keeps its float users', async () => {
    const { small } = await quantizeStatic(
      engine,
      `main (${image} x) => (${image} t, ${image} y) < ${c4('a', 'b')} >
       { ${conv('a', 'x', 'p')} t = Tanh(p) ${conv('b', 't', 'y')} }`,
    );
    // The output is what Tanh gives, not a rounded form of it.
    expect(small.graph.value('t').producer?.op).toBe('Tanh');
    expect(small.graph.value('y').producer?.op).toBe('DequantizeLinear');
  });

  test('outputs in the middle keep their names, and the model around them its kernels', async () => {
    const { model, small, feeds } = await quantizeStatic(
      engine,
      `main (${image} x) => (${image} p, ${image} q, ${image} m, ${image} y) < ${c4('a', 'b')} >
       { ${conv('a', 'x', 'p')} q = Relu(p) m = MaxPool<kernel_shape = [1,1]>(q) ${conv('b', 'm', 'y')} }`,
    );
    expect((await integerOps(engine, small)).QLinearConv).toBe(2);
    await expectClose(engine, model, small, feeds[0]!, 25);
  });

  test('indices of a pool are no activations', async () => {
    const { report } = await quantizeStatic(
      engine,
      `main (${image} x) => (${image} y, int64[1,4,8,8] i) < ${c4('a', 'b')} >
       { ${conv('a', 'x', 'p')} [pool] q, i = MaxPool<kernel_shape = [1,1]>(p) ${conv('b', 'q', 'y')} }`,
    );
    expect(reasons(report)).toEqual({ pool: '"i" is int64, which has no scale' });
  });

  test('include, exclude and their reasons', async () => {
    const excluded = await quantizeStatic(engine, chain, { exclude: ['b'] });
    expect(reasons(excluded.report).b).toBe('excluded by the caller');
    const included = await quantizeStatic(engine, chain, { include: ['op:Conv'] });
    expect(included.report.changed.map(({ node }) => node)).toEqual(['a', 'b', 'relu']);
  });

  test('a model that is quantized already does not change', async () => {
    const { small, feeds } = await quantizeStatic(engine, chain);
    const context = { engine, samples: samplesOf(feeds) };
    const twice = await applyPass(small, staticScheme, {}, context);
    expect(await full(twice.model)).toBe(await full(small));
    expect(twice.report.changed).toEqual([]);
    expect(reasons(twice.report).a).toBe('its weight is computed by DequantizeLinear');
  });
});

describe('ranges', () => {
  const scaleOf = async (model: Parameters<typeof printModel>[0], name: string) =>
    (await model.graph.value(`${name}_scale`).initializer!.floats())[0];

  test('given by the caller', async () => {
    const { small } = await quantizeStatic(engine, chain, { ranges: { q: { min: 0, max: 51 } } });
    expect(await scaleOf(small, 'q')).toBe(Math.fround(51 / 255));
  });

  test('for a value that does not exist, or upside down, are refused', async () => {
    const run = (ranges: StaticInput['ranges']) => quantizeStatic(engine, chain, { ranges });
    await expect(run({ nope: { min: 0, max: 1 } })).rejects.toThrow(
      'ranges: no value of the model is named "nope"',
    );
    await expect(run({ q: { min: 1, max: 0 } })).rejects.toThrow('a range has min below max');
  });

  test('for a value that is not quantized are noted', async () => {
    const { report } = await quantizeStatic(engine, chain, { ranges: { p: { min: 0, max: 1 } } });
    expect(report.notes).toContain('ranges: "p" is not quantized');
  });

  test('a joined value with another user keeps a scale of its own', async () => {
    const { small } = await quantizeStatic(
      engine,
      `main (${image} x) => (${image} y, ${image} z) < ${c4('a', 'b', 'd')}, ${weights('c', '[4,8,3,3]', 4)}, float big = {100} >
       { ${conv('a', 'x', 'p')} ${conv('b', 'x', 'q')} [big] r = Mul(q, big) ${conv('d', 'r', 's')}
         t = Concat<axis = 1>(p, s) ${conv('c', 't', 'y')} u = Tanh(p) [e] z = Conv<pads = [1,1,1,1]>(p, aw) }`,
    );
    expect(await scaleOf(small, 't')).toBeGreaterThan(10 * (await scaleOf(small, 'p'))!);
  });
});

describe('samples', () => {
  const dynamic = chain
    .replace('float[1,4,8,8] x', 'float[N,4,H,8] x')
    .replace('float[1,4,8,8] y', 'float[N,4,H,8] y');

  /** Images of the values of a seed, `count` in a batch. */
  const batch = (seeds: readonly number[], height = 8) => ({
    x: hostTensor(
      'float',
      [seeds.length, 4, height, 8],
      Float32Array.from(
        seeds.flatMap((seed) => {
          const random = createRandom(seed);
          return Array.from({ length: 4 * height * 8 }, () => random.normal() * (1 + seed));
        }),
      ),
    ),
  });

  test('order and batches do not matter, to the last bit', async () => {
    const orders = [
      [[0], [1], [2], [3], [4]],
      [[4], [2], [0], [3], [1]],
      [[0, 1, 2, 3], [4]],
    ];
    const texts = new Set<string>();
    for (const order of orders) {
      const feeds = order.map((seeds) => batch(seeds));
      texts.add(await full((await quantizeStatic(engine, dynamic, {}, feeds)).small));
    }
    expect(texts.size).toBe(1);
  });

  test('of different sizes, the widest counts even when it comes first', async () => {
    const feeds = [batch([9], 12), batch([0]), batch([1, 2], 3)];
    for (const calibrator of ['min-max', 'percentile', 'entropy', 'mse'] as const) {
      const { model, small } = await quantizeStatic(engine, dynamic, { calibrator }, feeds);
      await expectClose(engine, model, small, feeds[0]!, 15);
    }
  });

  test('none at all is a usage error with a hint', async () => {
    const run = applyPass(parseModel(chain), staticScheme, {}, { engine });
    await expect(run).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('--data'),
    });
    const empty = { engine, samples: samplesOf([]) };
    await expect(applyPass(parseModel(chain), staticScheme, {}, empty)).rejects.toThrow(
      'no sample',
    );
  });

  test('that make a value NaN are refused with its name', async () => {
    const feeds = [batch([1]), batch([2])];
    (feeds[1]!.x.data as Float32Array)[5] = Number.NaN;
    await expect(quantizeStatic(engine, dynamic, {}, feeds)).rejects.toThrow(
      /"x" is NaN or infinite/,
    );
  });

  test('are read once for many quantizations that share a cache', async () => {
    const model = parseModel(chain);
    const feeds = await randomSamples(engine, model, 2);
    let passes = 0;
    const samples = () => {
      passes++;
      return samplesOf(feeds)();
    };
    const context = { engine, samples, statistics: new StatisticsCache() };
    const first = await applyPass(model, staticScheme, {}, context);
    const before = passes;
    const second = await applyPass(model, staticScheme, {}, context);
    expect(passes).toBe(before);
    expect(await full(second.model)).toBe(await full(first.model));
  });
});

describe('biases', () => {
  const pointwise = 'float[1,2,4,4]';
  const biased = (w: string, b: string) => `main (${pointwise} x) => (${pointwise} y)
    < float[2,2,1,1] w = {${w}}, float[2] b = {${b}} > { [a] y = Conv(x, w, b) }`;

  test('beyond int32 make the weight scale grow', async () => {
    const text = biased('0.5, -0.5, 1e-9, -1e-9', '0.25, 1000');
    const { model, small, feeds } = await quantizeStatic(engine, text);
    await expectClose(engine, model, small, feeds[0]!, 30);
    const stored = await small.graph.value('b_quantized').initializer!.numbers();
    expect(Math.abs(stored[1]!)).toBeGreaterThan(2 ** 30);
  });

  test('of a channel without weights are kept exactly', async () => {
    // Under a scale of 1 the bias would be rounded to a multiple of the activation's step.
    const text = biased('0.5, -0.5, 0, 0', '0.25, 0.0013');
    const { small } = await quantizeStatic(engine, text, { biasCorrection: false });
    const [, bias] = await small.graph.value('b_quantized').initializer!.numbers();
    const [, scale] = await small.graph.value('b_scale').initializer!.floats();
    expect(Math.abs(bias! * scale! - 0.0013)).toBeLessThan(1e-9);
  });

  test('that are NaN are refused', async () => {
    const model = parseModel(biased('1, 2, 3, 4', '1, 2'));
    model.graph.value('b').initializer = Tensor.of('float', [2], Float32Array.of(1, Number.NaN));
    const feeds = [{ x: hostTensor('float', [1, 2, 4, 4], new Float32Array(32).fill(1)) }];
    const context = { engine, samples: samplesOf(feeds) };
    await expect(applyPass(model, staticScheme, {}, context)).rejects.toThrow(/NaN/);
  });
});

test('nodes that share a weight share its integers', async () => {
  const { small } = await quantizeStatic(
    engine,
    `main (${image} x) => (${image} y) < float[4,4,3,3] w = normal(seed=1, std=0.2) >
     { [a] p = Conv<pads = [1,1,1,1]>(x, w) [b] y = Conv<pads = [1,1,1,1]>(p, w) }`,
  );
  const weightsStored = small.graph.initializers.filter((value) => value.dims?.length === 4);
  expect(weightsStored.map(({ name }) => name)).toEqual(['w_quantized']);
});

describe('where the weight stands does not matter', () => {
  const model = (constants: string, before: string, node: string) =>
    `main (float[2,4] x) => (float[2,3] y) < ${constants} > { ${before} [g] y = ${node} }`;
  const numbers = '{0.1, -0.2, 0.3, 0.4, 0.5, -0.6, 0.7, 0.8, -0.9, 1, -1.1, 1.2}';
  const turned = '{0.1, 0.4, 0.7, 1, -0.2, 0.5, 0.8, -1.1, 0.3, -0.6, -0.9, 1.2}';

  test.each([
    ['a Constant node', model('', `w = Constant<value = float[4,3] ${numbers}>()`, 'Gemm(x, w)')],
    ['behind Identity', model(`float[4,3] v = ${numbers}`, 'w = Identity(v)', 'Gemm(x, w)')],
    ['behind Transpose', model(`float[3,4] v = ${turned}`, 'w = Transpose(v)', 'Gemm(x, w)')],
    ['transB', model(`float[3,4] w = ${turned}`, '', 'Gemm<transB = 1>(x, w)')],
  ])('%s', async (_name, text) => {
    const plain = await quantizeStatic(
      engine,
      model(`float[4,3] w = ${numbers}`, '', 'Gemm(x, w)'),
    );
    const other = await quantizeStatic(engine, text, {}, plain.feeds);
    expect(other.report.changed.map(({ node }) => node)).toEqual(['g']);
    const y = async (small: typeof plain.small) =>
      (await runModel(engine, small, plain.feeds[0]!)).outputs.y!.data;
    expect(await y(other.small)).toEqual(await y(plain.small));
  });
});

test('a float16 model stays as it is, loads, and says why', async () => {
  const { model, small, report } = await quantizeStatic(
    engine,
    `main (float16[1,4,8,8] x) => (float16[1,4,8,8] y) < float16[4,4,3,3] w = normal(seed=1, std=0.1) >
     { [a] p = Conv<pads = [1,1,1,1]>(x, w) [r] y = Relu(p) }`,
  );
  expect(report.changed).toEqual([]);
  expect(reasons(report).a).toBe('its weight is float16, integer kernels take float32');
  const before = await runModel(engine, model);
  const after = await runModel(engine, small, before.feeds);
  expect(after.outputs.y!.data).toEqual(before.outputs.y!.data);
});

test('an opset before 13 is raised by conversion', async () => {
  const { model, small, feeds, report } = await quantizeStatic(
    engine,
    `< ir_version: 4, opset_import: ["" : 9] > main (${image} x) => (${image} y) < ${c4('a', 'b')} >
     { ${conv('a', 'x', 'p')} q = Clip<min = 0.0, max = 0.5>(p) ${conv('b', 'q', 'y')} }`,
  );
  expect(report.notes.join()).toMatch(/opset/);
  expect(await integerOps(engine, small)).toEqual({ QLinearConv: 2 });
  await expectClose(engine, model, small, feeds[0]!, 25);
});

test.each(['uint16', 'int16'] as const)('%s activations load and are precise', async (type) => {
  const { model, small, feeds } = await quantizeStatic(engine, chain, {
    activations: type,
    calibrator: 'min-max',
    biasCorrection: false,
  });
  expect(small.opsets.get('')).toBeGreaterThanOrEqual(21);
  await expectClose(engine, model, small, feeds[0]!, 35);
});

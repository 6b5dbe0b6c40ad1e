import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { integerRoles } from '../../ops/integer-roles.js';
import { qOperators } from '../../ops/qoperators.js';
import { applyPass } from '../../pass.js';
import { createRandom } from '../../random.js';
import { opsOf, runModel } from '../../testing/node-models.js';
import {
  expectClose,
  quantizeStatic,
  type StaticInput,
  samplesOf,
} from '../../testing/node-static.js';
import { fuseInput } from '../io/fuse-input.js';
import { quantizeInput } from '../io/quantize-input.js';
import { quantizeOutput } from '../io/quantize-output.js';
import { staticScheme } from '../static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const image = 'float[1,4,8,8]';
const weights = ['a', 'b', 'c']
  .map(
    (name, i) =>
      `float[4,4,3,3] ${name}w = normal(seed=${i}, std=0.2), float[4] ${name}b = normal(seed=${i + 9}, std=0.1)`,
  )
  .join(', ');
const conv = (name: string, x: string, y: string) =>
  `[${name}] ${y} = Conv<pads = [1,1,1,1]>(${x}, ${name}w, ${name}b)`;

/** Between two convolutions, so that all of it is on integers. */
const between = (
  nodes: string,
  more = '',
) => `main (${image} x) => (${image} y) < ${weights}${more} >
  { ${conv('a', 'x', 'p')} [relu] q = Relu(p) ${nodes} ${conv('c', 'r', 'y')} }`;

const bodies: readonly (readonly [string, string, Record<string, number>, string?])[] = [
  ['Add', 's = Conv<pads = [1,1,1,1]>(q, bw) r = Add(s, q)', { QLinearConv: 3, QLinearAdd: 1 }],
  ['Mul', 's = Conv<pads = [1,1,1,1]>(q, bw) r = Mul(s, q)', { QLinearConv: 3, QLinearMul: 1 }],
  [
    'an absorbed Clip',
    `${conv('b', 'q', 's')} r = Clip(s, low, high)`,
    { QLinearConv: 3 },
    ', float low = {0}, float high = {0.5}',
  ],
  ['Sigmoid', 'r = Sigmoid(q)', { QLinearConv: 2, QLinearSigmoid: 1 }],
  ['LeakyRelu', 'r = LeakyRelu<alpha = 0.2>(q)', { QLinearConv: 2, QLinearLeakyRelu: 1 }],
  [
    'AveragePool',
    'r = AveragePool<kernel_shape = [3,3], pads = [1,1,1,1]>(q)',
    { QLinearConv: 2, QLinearAveragePool: 1 },
  ],
  [
    'Concat and Slice',
    's = Concat<axis = 1>(q, q) r = Slice(s, f, t, ax)',
    { QLinearConv: 2, QLinearConcat: 1, Slice: 1 },
    ', int64[1] f = {2}, int64[1] t = {6}, int64[1] ax = {1}',
  ],
  [
    'MaxPool',
    'r = MaxPool<kernel_shape = [3,3], pads = [1,1,1,1]>(q)',
    { QLinearConv: 2, MaxPool: 1 },
  ],
  [
    'Transpose and Reshape',
    's = Transpose<perm = [0,1,3,2]>(q) r = Reshape(s, d)',
    { QLinearConv: 2, Transpose: 1, Reshape: 1 },
    ', int64[4] d = {1, 4, 8, 8}',
  ],
  [
    'Split',
    's, t = Split<axis = 1>(q, two) r = Concat<axis = 1>(t, s)',
    { QLinearConv: 2, Split: 1, QLinearConcat: 1 },
    ', int64[2] two = {2, 2}',
  ],
  [
    'DepthToSpace',
    's = Concat<axis = 1>(q, q, q, q) u = DepthToSpace<blocksize = 2>(s) r = MaxPool<kernel_shape = [2,2], strides = [2,2]>(u)',
    { QLinearConv: 2, QLinearConcat: 1, DepthToSpace: 1, MaxPool: 1 },
  ],
  [
    'Squeeze, Unsqueeze, Flatten, Tile, Expand',
    's = Squeeze(q, ax) t = Unsqueeze(s, ax) u = Flatten<axis = 2>(t) v = Tile(u, ones) w = Expand(v, sh) r = Reshape(w, d)',
    { QLinearConv: 2, Squeeze: 1, Unsqueeze: 1, Flatten: 1, Tile: 1, Expand: 1, Reshape: 1 },
    ', int64[1] ax = {0}, int64[2] ones = {1, 1}, int64[2] sh = {4, 64}, int64[4] d = {1, 4, 8, 8}',
  ],
];

async function both(text: string | Model, options: StaticInput = {}) {
  const qdq = await quantizeStatic(engine, text, options);
  const context = [options, qdq.feeds] as const;
  const integers = await quantizeStatic(
    engine,
    text,
    { ...context[0], format: 'qoperator' },
    context[1],
  );
  return { qdq, integers };
}

/** The same numbers as the pairs give once the runtime has joined them. */
async function expectSame(text: string, options: StaticInput = {}) {
  const { qdq, integers } = await both(text, options);
  for (const feeds of qdq.feeds) {
    const { outputs } = await runModel(engine, qdq.small, feeds);
    for (const level of ['disabled', 'all'] as const) {
      expect((await runModel(engine, integers.small, feeds, level)).outputs).toEqual(outputs);
    }
  }
  return integers;
}

/** All but the borders of integers. */
function inside(model: Model): Record<string, number> {
  const { QuantizeLinear: _q, DequantizeLinear: _d, ...ops } = opsOf(model);
  return ops;
}

describe('the integers of the pairs, in one operator', () => {
  const rows = bodies.map(([name, nodes, ops, more]) => ({ name, nodes, ops, more }));
  test.each(rows)('$name', async ({ nodes, ops, more }) => {
    const { model, small, feeds } = await expectSame(between(nodes, more));
    expect(inside(small)).toEqual(ops);
    expect(opsOf(small)).toMatchObject({ QuantizeLinear: 1, DequantizeLinear: 1 });
    await expectClose(engine, model, small, feeds[0]!, 22);
  });

  test.each([
    {},
    { weights: 'uint8' },
    { weights: 'uint8', weightSymmetric: true },
    { weightSymmetric: false },
    { perChannel: false },
    { activations: 'int8' },
    { reduceRange: true },
  ] as StaticInput[])('a classifier with Gemm and MatMul: %j', async (options) => {
    const text = `main (${image} x) => (float[1,5] y, float[1,6] z)
      < ${weights}, float[4,6] gw = normal(seed=5), float[6] gb = normal(seed=6), float[6,5] mw = normal(seed=7),
        float[6,6] hw = normal(seed=8) >
      { ${conv('a', 'x', 'p')} [relu] q = Relu(p) [pool] g = GlobalAveragePool(q) [flat] f = Flatten(g)
        [g] h = Gemm<alpha = 0.5>(f, gw, gb) [r] i = Relu(h) [m] y = MatMul(i, mw) [z] z = Gemm<transB = 1>(i, hw) }`;
    const { small } = await expectSame(text, { matMul: 'static', ...options });
    expect(inside(small)).toEqual({
      QLinearConv: 1,
      QLinearGlobalAveragePool: 1,
      Flatten: 1,
      QGemm: 2,
      QLinearMatMul: 1,
    });
  });
});

test('values that float nodes take too are dequantized for them, and outputs keep their names', async () => {
  const { model, small, feeds } = await expectSame(
    `main (${image} x) => (${image} y, ${image} q, ${image} t) < ${weights} >
     { ${conv('a', 'x', 'p')} [relu] q = Relu(p) [tanh] t = Tanh(q) ${conv('b', 'q', 'y')} }`,
  );
  expect(inside(small)).toEqual({ QLinearConv: 2, Tanh: 1 });
  await expectClose(engine, model, small, feeds[0]!, 25);
});

test('what no integer kernel takes stays float between integers, and is named', async () => {
  const dilated = between(
    '[pool] r = AveragePool<kernel_shape = [3,3], dilations = [2,2], pads = [2,2,2,2]>(q)',
  );
  const text = `< ir_version: 9, opset_import: ["" : 19] > ${dilated}`;
  const options = { format: 'qoperator', checkFusion: false } as const;
  const { small, report } = await quantizeStatic(engine, text, options);
  expect(report.skipped.find(({ node }) => node === 'pool')?.reason).toMatch(/dilations/);
  expect(opsOf(small)).toMatchObject({ QLinearConv: 2, AveragePool: 1 });
});

test('a pool of opset 19 without dilations is on integers, and loads', async () => {
  for (const given of ['', ', dilations = [1,1]']) {
    const pooled = between(
      `[pool] r = AveragePool<kernel_shape = [3,3], pads = [1,1,1,1]${given}>(q)`,
    );
    const text = `< ir_version: 9, opset_import: ["" : 19] > ${pooled}`;
    const { model, small, report, feeds } = await quantizeStatic(engine, text, {
      format: 'qoperator',
      strict: true,
    });
    expect(report.skipped).toEqual([]);
    expect(opsOf(small)).toMatchObject({ QLinearConv: 2, QLinearAveragePool: 1 });
    await expectClose(engine, model, small, feeds[0]!, 25);
  }
});

test('with raw inputs and integer outputs no float is left', async () => {
  const float = parseModel(between('r = MaxPool<kernel_shape = [3,3], pads = [1,1,1,1]>(q)'));
  const raw = (await applyPass(float, quantizeInput, { scale: 1 / 255 }, {})).model;
  const pixels = Array.from({ length: 8 }, (_, seed) => {
    const random = createRandom(seed);
    const data = Uint8Array.from({ length: 4 * 64 }, () => random.int(256));
    return { x: hostTensor('uint8', [1, 4, 8, 8], data) };
  });
  const results = [];
  for (const format of ['qdq', 'qoperator'] as const) {
    const context = { engine, samples: samplesOf(pixels) };
    const small = (await applyPass(raw, staticScheme, { format }, context)).model;
    const fused = (await applyPass(small, fuseInput, {}, {})).model;
    const integers = (await applyPass(fused, quantizeOutput, {}, { engine })).model;
    results.push((await runModel(engine, integers, pixels[0])).outputs);
    if (format === 'qoperator') expect(opsOf(integers)).toEqual({ QLinearConv: 2, MaxPool: 1 });
  }
  expect(results[1]).toEqual(results[0]);
});

test('every operator with an integer role has a form, but for clips, which are absorbed', () => {
  for (const [op, { kind }] of Object.entries(integerRoles)) {
    if (kind !== 'clip') expect(Object.hasOwn(qOperators, op), op).toBe(true);
  }
});

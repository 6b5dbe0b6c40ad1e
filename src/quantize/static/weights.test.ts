import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { applyPass } from '../../pass.js';
import { optimizedOps } from '../../testing/node-models.js';
import {
  expectClose,
  integerOps,
  quantizeStatic,
  type StaticInput,
} from '../../testing/node-static.js';
import { integerWeightTypes } from '../names.js';
import { staticScheme } from '../static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const net = `main (float[1,8,8,8] x) => (float[1,16] y)
  < float[8,8,3,3] aw = normal(seed=1, std=0.2), float[8] ab = normal(seed=2, std=0.1),
    float[8,1,3,3] bw = normal(seed=3, std=0.2), float[8] bb = normal(seed=4, std=0.1),
    float[32,32] gw = normal(seed=5, std=0.1), float[32] gb = normal(seed=6, std=0.1),
    float[32,16] fw = normal(seed=7, std=0.1), int64[2] dims = {1, -1} >
  { [a] p = Conv<pads = [1,1,1,1]>(x, aw, ab) [ra] q = Relu(p)
    [b] r = Conv<pads = [1,1,1,1], group = 8>(q, bw, bb) [pool] s = MaxPool<kernel_shape = [4,4], strides = [4,4]>(r)
    [rs] t = Reshape(s, dims) [g] u = Gemm(t, gw, gb) [ru] v = Relu(u) [f] y = MatMul(v, fw) }`;

describe.each(integerWeightTypes)('%s weights', (weights) => {
  const eight = weights.endsWith('int8');
  const other = weights.startsWith('u');
  test.each([
    {},
    { weightSymmetric: other, perChannel: eight },
    { activations: 'uint16' },
  ] as StaticInput[])('%j', async (options) => {
    const given = { weights, matMul: 'static' as const, ...options };
    const { model, small, feeds, report } = await quantizeStatic(engine, net, given);
    const four = weights.endsWith('4');
    await expectClose(engine, model, small, feeds[0]!, four ? (options.perChannel ? 10 : 4) : 22);
    const types = new Set(small.graph.initializers.map(({ dataType }) => dataType));
    expect(types).toContain(weights);
    const integer = eight && options.activations === undefined;
    const ops = await integerOps(engine, small);
    expect([ops.QLinearConv, ops.QGemm]).toEqual(integer ? [2, 1] : [undefined, undefined]);
    // What was never meant to fuse is told once, and no node of it is a remark of its own.
    expect(report.notes.filter((note) => note.includes('runs as float'))).toEqual([]);
    const told = report.notes.filter((note) => note.includes('in float'));
    expect(told).toHaveLength(integer ? 0 : options.activations ? 2 : 1);
    // Only integer kernels add an int32 bias.
    expect(types.has('int32')).toBe(eight);
  });
});

test('int4 in blocks: Gemm and MatMul have them, Conv keeps its channels', async () => {
  const options = { weights: 'int4', blockSize: 16, matMul: 'static' } as const;
  const { model, small, feeds, report } = await quantizeStatic(engine, net, options);
  await expectClose(engine, model, small, feeds[0]!, 10);
  const scales = small.graph.initializers.filter(({ name }) => /^[abgf]w_scale$/.test(name));
  expect(scales.map(({ name, dims }) => [name, dims])).toEqual([
    ['aw_scale', [8]],
    ['bw_scale', [8]],
    ['gw_scale', [2, 32]],
    ['fw_scale', [2, 16]],
  ]);
  expect(report.notes).toContain(
    'int4 weights beside uint8 activations: no integer kernel, the runtime dequantizes both and computes in float',
  );
  // Pools and Reshapes between them still move integers.
  expect((await optimizedOps(engine, small)).MaxPool).toBe(1);
});

test('8 bits in blocks: only what has them leaves its integer kernel', async () => {
  const { model, small, feeds, report } = await quantizeStatic(engine, net, { blockSize: 16 });
  await expectClose(engine, model, small, feeds[0]!, 25);
  expect((await integerOps(engine, small)).QLinearConv).toBe(2);
  expect(report.notes).toContain(
    '1 weights in blocks of 16: no integer kernel takes them with static activations, they are dequantized',
  );
  expect(report.notes.filter((note) => note.includes('runs as float'))).toEqual([]);
});

test('uint8 weights beside int8 activations have no kernel, which is said', async () => {
  const options = { weights: 'uint8', activations: 'int8' } as const;
  const { report } = await quantizeStatic(engine, net, { ...options, strict: true });
  expect(report.notes.some((note) => note.startsWith('uint8 weights beside int8'))).toBe(true);
});

test('the opset rises by conversion, with the IR version', async () => {
  const old = `< ir_version: 4, opset_import: ["" : 9] > main (float[1,4,8,8] x) => (float[1,4,8,8] y)
    < float[4,4,3,3] w = normal(seed=1, std=0.2) >
    { [a] p = Conv<pads = [1,1,1,1]>(x, w) [c] q = Clip<min = -1.0, max = 1.0>(p) [b] y = Conv<pads = [1,1,1,1]>(q, w) }`;
  const { small, model, feeds } = await quantizeStatic(engine, old, { weights: 'uint4' });
  expect([small.opsets.get(''), small.irVersion]).toEqual([21, 10]);
  await expectClose(engine, model, small, feeds[0]!, 8);
});

test.each([
  [{ weights: 'int4', reduceRange: true }, 'reduceRange is for integer kernels, int4 weights'],
  [{ weights: 'int16', blockSize: 32 }, 'int16 weights are fine enough without blocks'],
  [{ perChannel: false, blockSize: 32 }, 'one scale per tensor and blocks exclude each other'],
  [{ format: 'qoperator', weights: 'int4' }, 'no operator on integers takes int4 weights'],
  [{ format: 'qoperator', activations: 'uint16' }, 'beside uint16 activations'],
  [{ format: 'qoperator', blockSize: 32 }, 'no operator on integers takes weights in blocks'],
] as const)('%j is refused', async (options, message) => {
  const run = applyPass(parseModel(net), staticScheme, options as StaticInput, { engine });
  await expect(run).rejects.toThrow(message);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { expectClose, integerOps, quantizeStatic, type StaticInput } from '../testing/node-static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** A convolution by name: weight, bias and node. */
const weights = (name: string, dims: string, outputs: number) =>
  `float${dims} ${name}w = normal(seed=${name.length + name.charCodeAt(0)}, std=0.2),
   float[${outputs}] ${name}b = normal(seed=${name.charCodeAt(0) + 7}, std=0.1)`;
const c4 = (...names: string[]) =>
  names.map((name) => weights(name, '[4,4,3,3]', 4)).join(', ');
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
    ops: { QLinearConv: 3, 'QLinearAdd': 1 },
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
];

const fixed = (ops: Record<string, number>) =>
  Object.fromEntries(
    Object.entries(ops).map(([op, count]) => [op.replace('com.microsoft:', ''), count]),
  );

describe('integer kernels are reached', () => {
  test.each(patterns)('$name', async ({ text, ops, options = {}, snr = 25 }) => {
    const { model, small, feeds, report } = await quantizeStatic(engine, text, options);
    if (process.env.SHOW) console.log(report.skipped, report.notes);
    expect(fixed(await integerOps(engine, small))).toEqual(ops);
    await expectClose(engine, model, small, feeds[0]!, snr);
  });
});

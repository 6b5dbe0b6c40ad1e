/** Each group of rules on a small model: what hangs together, and that the cut is proved. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { type CouplingCase, expectCut, randomWeight as w } from '../testing/node-coupling-cases.js';
import { tryCut } from '../testing/node-pruning.js';
import type { CouplingOptions } from './coupling-options.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const cases: readonly CouplingCase[] = [
  {
    name: 'a residual sum ties the channels of both branches',
    text: `main (float[1,3,6,6] x) => (float[1,2] y)
      <${w('4,3,3,3', 'w1', 1)}, ${w('4', 'b1', 2)}, ${w('4,4,3,3', 'w2', 3)}, ${w('2,4', 'w3', 4)}>
      { a = Conv<pads=[1,1,1,1]>(x, w1, b1)  b = Relu(a)  c = Conv<pads=[1,1,1,1]>(b, w2)
        d = Add(b, c)  g = GlobalAveragePool(d)  f = Flatten(g)  y = Gemm<transB=1>(f, w3) }`,
    units: [4],
  },
  {
    name: 'depthwise: the groups follow, and a multiple of channels leaves together',
    text: `main (float[1,3,6,6] x) => (float[1,2,6,6] y)
      <${w('4,3,1,1', 'w1', 1)}, ${w('8,1,3,3', 'w2', 2)}, ${w('8', 'b2', 3)}, ${w('2,8,1,1', 'w3', 4)}>
      { a = Conv(x, w1)  b = Conv<group=4, pads=[1,1,1,1]>(a, w2, b2)  y = Conv(b, w3) }`,
    units: [4],
    stored: [['Conv', 'group', 2]],
  },
  {
    name: 'grouped: the same places leave every group',
    text: `main (float[1,3,6,6] x) => (float[1,2,6,6] y)
      <${w('8,3,1,1', 'w1', 1)}, ${w('12,4,3,3', 'w2', 2)}, ${w('2,12,1,1', 'w3', 4)}>
      { a = Conv(x, w1)  b = Conv<group=2, pads=[1,1,1,1]>(a, w2)  y = Conv(b, w3) }`,
    units: [4, 6],
  },
  {
    name: 'transposed convolutions, plain, grouped and depthwise',
    text: `main (float[1,3,4,4] x) => (float[1,2,7,7] y)
      <${w('3,8,2,2', 'w1', 1)}, ${w('8', 'b1', 2)}, ${w('8,3,2,2', 'w2', 3)}, ${w('6,1,2,2', 'w3', 5)}, ${w('2,6,1,1', 'w4', 4)}>
      { a = ConvTranspose(x, w1, b1)  b = ConvTranspose<group=2>(a, w2)
        c = ConvTranspose<group=6>(b, w3)  y = Conv(c, w4) }`,
    units: [4, 3],
  },
  {
    name: 'normalizations over one channel, PRelu and Clip take no part but their parameters',
    text: `main (float[1,3,6,6] x) => (float[1,2,6,6] y)
      <${w('4,3,1,1', 'w1', 1)}, ${w('4', 's', 2)}, ${w('4', 'b', 3)}, ${w('4', 'm', 4)},
       float[4] v = {0.5, 1, 2, 3}, ${w('4', 's2', 5)}, ${w('4', 'b2', 6)}, ${w('4,1,1', 'slope', 7)}, ${w('2,4,1,1', 'w2', 8)}>
      { a = Conv(x, w1)  n = BatchNormalization(a, s, b, m, v)  c = InstanceNormalization(n, s2, b2)
        d = PRelu(c, slope)  y = Conv(d, w2) }`,
    units: [4],
  },
  {
    name: 'group normalization loses whole groups',
    text: `<ir_version: 10, opset_import: ["" : 21]>
      main (float[1,3,6,6] x) => (float[1,2,6,6] y)
      <${w('8,3,1,1', 'w1', 1)}, ${w('8', 's', 2)}, ${w('8', 'b', 3)}, ${w('2,8,1,1', 'w2', 8)}>
      { a = Conv(x, w1)  n = GroupNormalization<num_groups=4>(a, s, b)  y = Conv(n, w2) }`,
    units: [4],
    stored: [['GroupNormalization', 'num_groups', 2]],
  },
  {
    name: 'Concat, Split, Slice and Pad count their parts anew',
    text: `<ir_version: 9, opset_import: ["" : 18]>
      main (float[1,3,4,4] x) => (float[1,2,4,4] y)
      <${w('4,3,1,1', 'w1', 1)}, ${w('6,3,1,1', 'w2', 2)}, int64[1] from = {2}, int64[1] to = {9223372036854775807},
       int64[1] axis = {1}, int64[8] pads = {0,2,0,0, 0,1,0,0}, ${w('8,3,1,1', 'w3', 3)}, ${w('2,8,1,1', 'w4', 4)}, ${w('2,8,1,1', 'w5', 5)}>
      { a = Conv(x, w1)  b = Conv(x, w2)  c = Concat<axis=1>(a, b)
        d, e = Split<axis=1, num_outputs=2>(c)  f = Add(d, e)  g = Slice(c, from, to, axis)
        h = Pad(f, pads)  i = Conv(x, w3)  j = Add(h, i)  k = Conv(j, w4)  l = Conv(g, w5)
        y = Add(k, l) }`,
    units: [4, 3],
  },
  {
    name: 'channel shuffles tie channels in orbits',
    text: `main (float[1,3,4,4] x) => (float[1,2,4,4] y)
      <${w('8,3,1,1', 'w1', 1)}, int64[5] s = {1,2,4,4,4}, int64[4] t = {1,8,4,4}, ${w('2,8,1,1', 'w2', 2)}>
      { a = Conv(x, w1)  b = Reshape(a, s)  c = Transpose<perm=[0,2,1,3,4]>(b)  d = Reshape(c, t)
        y = Conv(d, w2) }`,
    units: [4],
  },
  {
    name: 'depth to space: the channels of a block leave together, in either order',
    text: `main (float[1,3,4,4] x) => (float[1,2,16,16] y)
      <${w('32,3,1,1', 'w1', 1)}, ${w('16,8,1,1', 'w2', 2)}, ${w('2,4,1,1', 'w3', 3)}>
      { a = Conv(x, w1)  b = DepthToSpace<blocksize=2, mode="DCR">(a)  c = Conv(b, w2)
        d = DepthToSpace<blocksize=2, mode="CRD">(c)  y = Conv(d, w3) }`,
    units: [8, 4],
  },
  {
    name: 'attention loses heads, with its biases and shapes',
    text: `main (float[1,5,8] x) => (float[1,5,8] y)
      <${w('8,24', 'qkv', 1)}, ${w('24', 'b', 2)}, int64[5] s = {0,5,3,4,2}, int64[3] t = {1,5,-1}, ${w('8,8', 'o', 3)},
       int64 zero = {0}, int64 one = {1}, int64 two = {2}>
      { a = MatMul(x, qkv)  c = Add(a, b)  d = Reshape(c, s)  e = Transpose<perm=[2,0,3,1,4]>(d)
        q = Gather(e, zero)  k = Gather(e, one)  v = Gather(e, two)  kt = Transpose<perm=[0,1,3,2]>(k)
        m = MatMul(q, kt)  p = Softmax(m)  r = MatMul(p, v)  u = Transpose<perm=[0,2,1,3]>(r)
        z = Reshape(u, t)  y = MatMul(z, o) }`,
    units: [4],
  },
  {
    name: 'or what is inside of the heads',
    text: `main (float[1,5,8] x) => (float[1,5,8] y)
      <${w('8,8', 'wq', 1)}, ${w('8,8', 'wk', 2)}, ${w('8,8', 'wv', 4)}, int64[4] s = {1,5,2,4}, int64[3] t = {1,5,8}, ${w('8,8', 'o', 3)}>
      { q0 = MatMul(x, wq)  k0 = MatMul(x, wk)  v0 = MatMul(x, wv)
        q1 = Reshape(q0, s)  k1 = Reshape(k0, s)  v1 = Reshape(v0, s)
        q = Transpose<perm=[0,2,1,3]>(q1)  k = Transpose<perm=[0,2,3,1]>(k1)  v = Transpose<perm=[0,2,1,3]>(v1)
        m = MatMul(q, k)  p = Softmax(m)  r = MatMul(p, v)  u = Transpose<perm=[0,2,1,3]>(r)
        z = Reshape(u, t)  y = MatMul(z, o) }`,
    units: [4, 4],
    options: { split: 'head-dim' },
  },
  {
    name: 'keys that several queries share leave with them',
    text: `main (float[1,5,8] x) => (float[1,5,8] y)
      <${w('8,16', 'wq', 1)}, ${w('8,8', 'wk', 2)}, ${w('8,8', 'wv', 4)}, int64[4] s = {1,5,8,2}, int64[4] sk = {1,5,4,2},
       int64[5] e = {1,4,2,5,2}, int64[4] f = {1,8,5,2}, int64[1] two = {2}, int64[3] t = {1,5,16}, ${w('16,8', 'o', 3)}>
      { q0 = MatMul(x, wq)  k0 = MatMul(x, wk)  v0 = MatMul(x, wv)
        q1 = Reshape(q0, s)  k1 = Reshape(k0, sk)  v1 = Reshape(v0, sk)
        q = Transpose<perm=[0,2,1,3]>(q1)  k2 = Transpose<perm=[0,2,1,3]>(k1)  v2 = Transpose<perm=[0,2,1,3]>(v1)
        k3 = Unsqueeze(k2, two)  v3 = Unsqueeze(v2, two)  k4 = Expand(k3, e)  v4 = Expand(v3, e)
        k5 = Reshape(k4, f)  v = Reshape(v4, f)  k = Transpose<perm=[0,1,3,2]>(k5)
        m = MatMul(q, k)  p = Softmax(m)  r = MatMul(p, v)  u = Transpose<perm=[0,2,1,3]>(r)
        z = Reshape(u, t)  y = MatMul(z, o) }`,
    units: [4],
  },
  {
    name: 'shapes that are computed follow, batch and length stay open',
    text: `main (float[N,S,8] x) => (float[N,S,8] y)
      <${w('8,12', 'w1', 1)}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] heads = {4}, int64[1] size = {3},
       int64[1] all = {12}, ${w('12,8', 'w2', 3)}>
      { a = MatMul(x, w1)  sh = Shape(x)  n = Gather(sh, zero)  s = Gather(sh, one)
        to = Concat<axis=0>(n, s, heads, size)  b = Reshape(a, to)  c = Transpose<perm=[0,2,1,3]>(b)
        d = Relu(c)  e = Transpose<perm=[0,2,1,3]>(d)  back = Concat<axis=0>(n, s, all)
        f = Reshape(e, back)  y = MatMul(f, w2) }`,
    units: [4],
  },
  {
    name: 'LSTM, GRU and RNN lose hidden units of all gates and directions',
    text: `main (float[5,1,3] x) => (float[5,2] y)
      <${w('2,16,3', 'w1', 1)}, ${w('2,16,4', 'r1', 2)}, ${w('2,32', 'b1', 3)}, int64[3] t = {5,1,8},
       ${w('1,12,8', 'w2', 4)}, ${w('1,12,4', 'r2', 5)}, ${w('1,24', 'b2', 6)}, int64[3] t2 = {5,1,4},
       ${w('1,6,4', 'w3', 7)}, ${w('1,6,6', 'r3', 8)}, int64[2] t3 = {5,6}, ${w('6,2', 'w4', 9)}>
      { a = LSTM<hidden_size=4, direction="bidirectional">(x, w1, r1, b1)
        b = Transpose<perm=[0,2,1,3]>(a)  c = Reshape(b, t)  d = GRU<hidden_size=4>(c, w2, r2, b2)
        e = Reshape(d, t2)  f = RNN<hidden_size=6>(e, w3, r3)  g = Reshape(f, t3)  y = MatMul(g, w4) }`,
    units: [4, 4, 6],
    stored: [
      ['LSTM', 'hidden_size', 2],
      ['GRU', 'hidden_size', 2],
      ['RNN', 'hidden_size', 3],
    ],
  },
  {
    name: 'scales and zero points leave with what they scale',
    text: `main (float[1,3,4,4] x) => (float[1,2,4,4] y)
      <int8[4,3,1,1] q1 = {1,-2,30, 4,50,-6, 70,8,9, -10,11,12}, float[4] s1 = {0.5,0.25,0.125,0.0625}, int8[4] z1 = {1,2,3,4},
       float s = {0.1}, uint8 z = {128}, ${w('2,4,1,1', 'w2', 2)}>
      { w1 = DequantizeLinear<axis=0>(q1, s1, z1)  a = Conv(x, w1)  b = QuantizeLinear(a, s, z)
        c = DequantizeLinear(b, s, z)  y = Conv(c, w2) }`,
    units: [4],
  },
  {
    name: 'integer products and convolutions, with zero points that are not zero',
    text: `main (float[4,6] x) => (float[4,2] y)
      <uint8[6,4] b = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24}, uint8[4] zb = {3,4,5,6},
       float scale = {0.01}, uint8[4,2] q2 = {130,90,200,140,100,150,180,60}, float s2 = {0.05}, uint8 z2 = {128}>
      { q, s, z = DynamicQuantizeLinear(x)  p = MatMulInteger(q, b, z, zb)  f = Cast<to=1>(p)
        g = Mul(f, scale)  w2 = DequantizeLinear(q2, s2, z2)  y = MatMul(g, w2) }`,
    units: [4],
  },
  {
    name: 'the root mean square is made exact where that is asked for',
    text: `main (int64[1,6] ids) => (float[1,6,5] y)
      <${w('10,8', 'table', 1)}, float two = {2.0}, float eps = {0.01}, ${w('8', 'gamma', 2)}, ${w('8,5', 'w1', 3)}>
      { x = Gather(table, ids)  a = Pow(x, two)  b = ReduceMean<axes=[-1]>(a)  c = Add(b, eps)  d = Sqrt(c)
        e = Div(x, d)  f = Mul(gamma, e)  y = MatMul(f, w1) }`,
    units: [8],
    options: { norms: 'exact' },
  },
  {
    name: 'Einsum, where it is a product',
    text: `main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,2,4', 'w1', 1)}, ${w('2,4,6', 'w2', 2)}>
      { a = Einsum<equation="bsd,dhk->bshk">(x, w1)  y = Einsum<equation="bshk,hko->bso">(a, w2) }`,
    units: [2, 4],
  },
];

describe('rules', () => {
  test.each(cases)('$name', (each) => expectCut(engine, each));
});

describe('what stays', () => {
  const fixed = async (text: string, options?: CouplingOptions) => {
    const { coupling } = await tryCut(engine, text, options);
    return { families: coupling.families.length, frozen: coupling.frozen };
  };

  test('an operator that pare does not know freezes what it touches, by name', async () => {
    const { families, frozen } = await fixed(`
      main (float[1,3] x) => (float[1,1] y) <${w('3,4', 'w1', 1)}, ${w('4,1', 'w2', 2)}>
      { [first] a = MatMul(x, w1)  [odd] b = Hardmax(a)  [back] y = MatMul(b, w2) }`);
    expect(families).toBe(0);
    expect(frozen[0]).toMatchObject({ node: 'first', by: 'odd', width: 4 });
  });

  test('widths under LayerNormalization and Softmax stay unless all are asked for', async () => {
    const text = `main (float[2,3] x) => (float[2,2] y)
      <${w('3,4', 'w1', 1)}, ${w('4', 'g', 2)}, ${w('4,4', 'w2', 3)}, ${w('4,2', 'w3', 4)}>
      { [first] a = MatMul(x, w1)  [norm] b = LayerNormalization(a, g)  [second] c = MatMul(b, w2)
        [soft] d = Softmax(c)  y = MatMul(d, w3) }`;
    const { families, frozen } = await fixed(text);
    expect(families).toBe(0);
    expect(frozen.map(({ node, by }) => [node, by])).toEqual(
      expect.arrayContaining([
        ['first', 'norm'],
        ['second', 'soft'],
      ]),
    );
    const all = await tryCut(engine, text, { norms: 'all' });
    expect(all.coupling.families.map(({ units }) => units)).toEqual([4, 4]);
    expect(all.proof.holds).toBe(false);
  });

  test('a mean over channels is no sum of what is left', async () => {
    const { families, frozen } = await fixed(`
      main (float[2,3] x) => (float[2,1] y) <${w('3,4', 'w1', 1)}>
      { [first] a = MatMul(x, w1)  [mean] y = ReduceMean<axes=[1]>(a) }`);
    expect(families).toBe(0);
    expect(frozen[0]).toMatchObject({ node: 'first', by: 'mean' });
  });

  test('a sum is, where the units are zero; after Sigmoid they are one half', async () => {
    const sum = (op: string) => `main (float[2,3] x) => (float[2,1] y)
      <${w('3,4', 'w1', 1)}, int64[1] axes = {1}>
      { [first] a = MatMul(x, w1)  b = ${op}(a)  y = ReduceSum(b, axes) }`;
    const { coupling, proof } = await tryCut(engine, sum('Relu'));
    expect(coupling.families).toHaveLength(1);
    expect(proof).toMatchObject({ holds: true, blind: false });
    expect((await fixed(sum('Sigmoid'))).families).toBe(0);
  });

  test('what a subgraph uses', async () => {
    const { families, frozen } = await fixed(`
      main (float[1,3] x, bool c) => (float[1,4] y) <${w('3,4', 'w1', 1)}>
      { [first] a = MatMul(x, w1)
        [branch] y = If(c) <then_branch = t () => (float[1,4] b) { b = Relu(a) }, else_branch = e () => (float[1,4] d) { d = Neg(a) }> }`);
    expect(families).toBe(0);
    expect(frozen[0]).toMatchObject({ node: 'first', by: 'branch' });
  });

  test('a width whose size the model computes with', async () => {
    const { families, frozen } = await fixed(`
      main (float[1,3] x) => (float[1,2] y)
      <${w('3,4', 'w1', 1)}, ${w('4,2', 'w2', 2)}, int64[1] one = {1}>
      { [first] a = MatMul(x, w1)  s = Shape(a)  n = Gather(s, one)  [used] f = Cast<to=1>(n)  r = Sqrt(f)
        d = Div(a, r)  y = MatMul(d, w2) }`);
    expect(families).toBe(0);
    expect(frozen[0]).toMatchObject({ node: 'first', reason: 'it computes with its size' });
  });
});

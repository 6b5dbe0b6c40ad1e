/**
 * Coupling of fused operators, those of ONNX 23 and those of ONNX Runtime, each cut and proved on
 * the runtime; and of those that have no kernel there, that they freeze their widths by name.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { type CouplingCase, expectCut, randomWeight as w } from '../testing/node-coupling-cases.js';
import { tryCut } from '../testing/node-pruning.js';
import { analyzeCoupling } from './analyze-coupling.js';
import { propagateLabels } from './propagate.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const microsoft = '<ir_version: 9, opset_import: ["" : 21, "com.microsoft" : 1]>';
const onnx23 = '<ir_version: 11, opset_import: ["" : 23]>';

/** Eight heads of queries on four of keys and values; `more` are further inputs and their constants. */
const groupQuery = (attributes: string, inputs = '', constants = '') => `${microsoft}
  main (float[1,5,8] x) => (float[1,5,6] y)
  <${w('8,128', 'wq', 1)}, ${w('8,64', 'wk', 2)}, ${w('8,64', 'wv', 3)}, int32[1] lengths = {4},
   int32[1] total = {5}, ${w('128,6', 'wo', 4)}${constants}>
  { q = MatMul(x, wq)  k = MatMul(x, wk)  v = MatMul(x, wv)
    a, pk, pv = com.microsoft.GroupQueryAttention<num_heads=8, kv_num_heads=4${attributes}>(q, k, v, "", "", lengths, total${inputs})
    y = MatMul(a, wo) }`;
const halvedGroups: CouplingCase['stored'] = [
  ['com.microsoft:GroupQueryAttention', 'num_heads', 4],
  ['com.microsoft:GroupQueryAttention', 'kv_num_heads', 2],
];

/** The same with values wider than keys; `mask` is a constant of these dims. */
const attention23 = (mask = '') => `${onnx23} main (float[1,5,8] x) => (float[1,5,6] y)
  <${w('8,32', 'wq', 1)}, ${w('8,16', 'wk', 2)}, ${w('8,24', 'wv', 3)}, ${w('48,6', 'wo', 4)}${mask && `, ${w(mask, 'mask', 5)}`}>
  { q = MatMul(x, wq)  k = MatMul(x, wk)  v = MatMul(x, wv)
    a = Attention<q_num_heads=8, kv_num_heads=4>(q, k, v${mask && ', mask'})  y = MatMul(a, wo) }`;
const halved23: CouplingCase['stored'] = [
  ['Attention', 'q_num_heads', 4],
  ['Attention', 'kv_num_heads', 2],
];

const cases: readonly CouplingCase[] = [
  {
    name: 'packed attention and its neighbours',
    text: `${microsoft} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,24', 'wa', 1)}, ${w('24', 'ba', 2)}, ${w('8,8', 'wo', 3)}, ${w('8,12', 'w1', 4)}, ${w('12', 'b1', 5)},
       ${w('10,12', 'w2', 6)}, ${w('10,6', 'w3', 7)}>
      { a = com.microsoft.Attention<num_heads=4>(x, wa, ba)  b = MatMul(a, wo)  c = MatMul(b, w1)
        d = com.microsoft.BiasGelu(c, b1)  e = com.microsoft.FusedMatMul<transB=1>(d, w2)
        f = com.microsoft.QuickGelu(e)  y = MatMul(f, w3) }`,
    units: [4, 8, 12, 10],
    stored: [['com.microsoft:Attention', 'num_heads', 2]],
  },
  {
    name: 'multi-head attention, with a bias per head',
    text: `${microsoft} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,16', 'wq', 1)}, ${w('8,16', 'wk', 2)}, ${w('8,16', 'wv', 3)}, ${w('48', 'b', 4)}, ${w('16,6', 'wo', 5)},
       ${w('1,4,5,5', 'spread', 6)}>
      { q = MatMul(x, wq)  k = MatMul(x, wk)  v = MatMul(x, wv)
        a = com.microsoft.MultiHeadAttention<num_heads=4>(q, k, v, b, "", spread)  y = MatMul(a, wo) }`,
    units: [4],
    stored: [['com.microsoft:MultiHeadAttention', 'num_heads', 2]],
  },
  {
    name: 'GroupQueryAttention: queries leave with the keys that they share',
    text: groupQuery(''),
    units: [4],
    stored: halvedGroups,
  },
  {
    name: 'GroupQueryAttention that rotates',
    text: groupQuery(
      ', do_rotary=1',
      ', cosine, sine',
      `, ${w('8,8', 'cosine', 5)}, ${w('8,8', 'sine', 6)}`,
    ),
    units: [4],
    stored: halvedGroups,
  },
  {
    name: 'GroupQueryAttention with a bias per head',
    text: groupQuery('', ', "", "", "", bias', `, ${w('1,8,5,5', 'bias', 5)}`),
    units: [4],
    stored: halvedGroups,
  },
  {
    name: 'GroupQueryAttention with a bias for all heads',
    text: groupQuery('', ', "", "", "", bias', `, ${w('1,1,5,5', 'bias', 5)}`),
    units: [4],
    stored: halvedGroups,
  },
  {
    name: 'GroupQueryAttention with a sink per head',
    text: groupQuery('', ', "", "", "", "", sink', `, ${w('8', 'sink', 5)}`),
    units: [4],
    stored: halvedGroups,
  },
  { name: 'Attention of ONNX', text: attention23(), units: [4], stored: halved23 },
  {
    name: 'Attention of ONNX with one mask for all heads',
    text: attention23('5,5'),
    units: [4],
    stored: halved23,
  },
  {
    name: 'Attention of ONNX with a mask per head',
    text: attention23('1,8,5,5'),
    units: [4],
    stored: halved23,
  },
  {
    name: 'Attention of ONNX with a mask per head and none per sample',
    text: attention23('8,5,5'),
    units: [4],
    stored: halved23,
  },
  {
    name: 'Attention of ONNX on heads that are an axis',
    text: `${onnx23} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,32', 'wq', 1)}, ${w('8,16', 'wk', 2)}, ${w('8,16', 'wv', 3)}, int64[4] s = {1,5,8,4}, int64[4] sk = {1,5,4,4},
       int64[3] t = {1,5,32}, ${w('32,6', 'wo', 4)}>
      { q0 = MatMul(x, wq)  k0 = MatMul(x, wk)  v0 = MatMul(x, wv)
        q1 = Reshape(q0, s)  k1 = Reshape(k0, sk)  v1 = Reshape(v0, sk)
        q = Transpose<perm=[0,2,1,3]>(q1)  k = Transpose<perm=[0,2,1,3]>(k1)  v = Transpose<perm=[0,2,1,3]>(v1)
        a = Attention<is_causal=1>(q, k, v)  b = Transpose<perm=[0,2,1,3]>(a)  c = Reshape(b, t)
        y = MatMul(c, wo) }`,
    units: [4],
  },
  {
    name: 'RotaryEmbedding of ONNX',
    text: `${onnx23} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,32', 'w1', 1)}, ${w('1,5,4', 'cosine', 2)}, ${w('1,5,4', 'sine', 3)}, ${w('32,6', 'w2', 4)}>
      { a = MatMul(x, w1)  b = RotaryEmbedding<num_heads=4>(a, cosine, sine)  y = MatMul(b, w2) }`,
    units: [4],
    stored: [['RotaryEmbedding', 'num_heads', 2]],
  },
  {
    name: 'RotaryEmbedding of ONNX on heads that are an axis',
    text: `${onnx23} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,32', 'w1', 1)}, ${w('1,5,4', 'cosine', 2)}, ${w('1,5,4', 'sine', 3)}, int64[4] s = {1,5,4,8},
       int64[3] t = {1,5,32}, ${w('32,6', 'w2', 4)}>
      { a = MatMul(x, w1)  b = Reshape(a, s)  c = Transpose<perm=[0,2,1,3]>(b)  d = RotaryEmbedding(c, cosine, sine)
        e = Transpose<perm=[0,2,1,3]>(d)  f = Reshape(e, t)  y = MatMul(f, w2) }`,
    units: [4],
  },
  {
    name: 'RotaryEmbedding of the runtime: the tables tell the heads',
    text: `${microsoft} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,32', 'w1', 1)}, int64[1] from = {0}, ${w('5,4', 'cosine', 2)}, ${w('5,4', 'sine', 3)}, ${w('32,6', 'w2', 4)}>
      { a = MatMul(x, w1)  b = com.microsoft.RotaryEmbedding(a, from, cosine, sine)  y = MatMul(b, w2) }`,
    units: [4],
  },
  {
    name: 'RotaryEmbedding of the runtime over a part of each head',
    text: `${microsoft} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,32', 'w1', 1)}, int64[1] from = {0}, ${w('5,2', 'cosine', 2)}, ${w('5,2', 'sine', 3)}, ${w('32,6', 'w2', 4)}>
      { a = MatMul(x, w1)  b = com.microsoft.RotaryEmbedding<num_heads=4, rotary_embedding_dim=4>(a, from, cosine, sine)
        y = MatMul(b, w2) }`,
    units: [4],
    stored: [['com.microsoft:RotaryEmbedding', 'num_heads', 2]],
  },
  {
    name: 'SkipSimplifiedLayerNormalization, with a bias and its sum',
    text: `${microsoft} main (float[1,5,6] x) => (float[1,5,6] y)
      <${w('6,8', 'w1', 1)}, ${w('6,8', 'w2', 2)}, ${w('8', 'g', 3)}, ${w('8', 'b', 6)}, ${w('8,6', 'w3', 4)}, ${w('8,6', 'w4', 5)}>
      { a = MatMul(x, w1)  s = MatMul(x, w2)
        c, "", "", d = com.microsoft.SkipSimplifiedLayerNormalization<epsilon=0.01>(a, s, g, b)
        e = MatMul(c, w3)  f = MatMul(d, w4)  y = Add(e, f) }`,
    units: [8],
    options: { norms: 'exact' },
  },
  {
    name: 'QLinearConcat: parts of different scales',
    text: `${microsoft} main (float[1,3,4,4] x) => (float[1,2,4,4] y)
      <${w('4,3,1,1', 'w1', 1)}, ${w('6,3,1,1', 'w2', 2)}, float s1 = {0.02}, uint8 z1 = {120}, float s2 = {0.03}, uint8 z2 = {130},
       float s3 = {0.04}, uint8 z3 = {128}, ${w('2,10,1,1', 'w3', 3)}>
      { a = Conv(x, w1)  b = Conv(x, w2)  c = QuantizeLinear(a, s1, z1)  d = QuantizeLinear(b, s2, z2)
        e = com.microsoft.QLinearConcat<axis=1>(s3, z3, c, s1, z1, d, s2, z2)  f = DequantizeLinear(e, s3, z3)
        y = Conv(f, w3) }`,
    units: [4, 6],
  },
];

describe('fused operators', () => {
  test.each(cases)('$name', (each) => expectCut(engine, each));
});

describe('what stays', () => {
  const skip = `${microsoft} main (float[1,5,6] x) => (float[1,5,6] y)
    <${w('6,8', 'w1', 1)}, ${w('6,8', 'w2', 2)}, ${w('8', 'g', 3)}, ${w('8', 'b', 6)}, ${w('8,12', 'w3', 4)}, ${w('12,8', 'w4', 5)},
     ${w('8,6', 'w5', 7)}>
    { a = MatMul(x, w1)  s = MatMul(x, w2)
      [norm] c, "", "", d = com.microsoft.SkipLayerNormalization(a, s, g, b)
      e = MatMul(c, w3)  f = Relu(e)  h = MatMul(f, w4)  i = Add(h, d)  y = MatMul(i, w5) }`;

  test('the width under SkipLayerNormalization, while those between are cut', async () => {
    const { coupling, proof } = await tryCut(engine, skip);
    expect(coupling.families.map(({ units }) => units)).toEqual([12]);
    expect(proof).toMatchObject({ holds: true, blind: false });
    expect(coupling.frozen).toContainEqual(expect.objectContaining({ width: 8, by: 'norm' }));
  });

  test.each([
    ['GroupNorm', 'a, g, b'],
    ['SkipGroupNorm', 'a, g, b, s'],
  ])('what the runtime has no kernel for: %s', async (op, inputs) => {
    const model = parseModel(`${microsoft} main (float[1,3,4,4] x) => (float[1,2,4,4] y)
      <${w('8,3,1,1', 'w1', 1)}, ${w('8,3,1,1', 'w2', 2)}, ${w('8', 'g', 3)}, ${w('8', 'b', 4)}, ${w('2,8,1,1', 'w3', 5)}>
      { [first] a0 = Conv(x, w1)  s0 = Conv(x, w2)
        a = Transpose<perm=[0,2,3,1]>(a0)  s = Transpose<perm=[0,2,3,1]>(s0)
        [odd] c = com.microsoft.${op}<groups=4, activation=0>(${inputs})
        d = Transpose<perm=[0,3,1,2]>(c)  y = Conv(d, w3) }`);
    // The runtime refuses the whole model, so that the rule is asked by itself.
    await expect(analyzeCoupling(model, {}, { engine })).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringContaining(op),
    });
    const front = [1, 8, 4, 4];
    const back = [1, 4, 4, 8];
    const dims = { x: [1, 3, 4, 4], a0: front, s0: front, a: back, s: back, c: back, d: front };
    const sizes = new Map(
      Object.entries({ ...dims, y: [1, 2, 4, 4] }).map(([name, own]) => [
        model.graph.value(name),
        own,
      ]),
    );
    const { sets, labels, causes } = propagateLabels(model, sizes, new Map(), 'auto');
    const [channels] = labels.get(model.graph.value('w1'))!;
    expect([...channels!].every((label) => sets.isFixed(label))).toBe(true);
    expect(causes).toContainEqual({
      by: 'odd',
      reason: 'ONNX Runtime has no CPU kernel for it, so that a cut could not be proved',
    });
  });

  test('queries, keys and values in one tensor', async () => {
    const { coupling } = await tryCut(
      engine,
      `${microsoft} main (float[1,5,8] x) => (float[1,5,6] y)
      <${w('8,128', 'w1', 1)}, int32[1] lengths = {4}, int32[1] total = {5}, ${w('64,6', 'wo', 2)}>
      { [first] q = MatMul(x, w1)
        [packed] a, pk, pv = com.microsoft.GroupQueryAttention<num_heads=8, kv_num_heads=4>(q, "", "", "", "", lengths, total)
        y = MatMul(a, wo) }`,
    );
    expect(coupling.families).toEqual([]);
    expect(coupling.frozen).toContainEqual(
      expect.objectContaining({ node: 'first', by: 'packed', width: 128 }),
    );
  });
});

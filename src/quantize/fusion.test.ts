import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { checkFusion } from './fusion.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const scales = `float s = {0.05}, float s2 = {0.07}, uint8 z = {128}, uint8 z0 = {0}, int8 i8 = {0},
  float ws = {0.01}, int8 wz = {0}, float bs = {0.0005}`;
/** Values x and so on, quantized and back: xq and xd. */
const qdq = (names: string, scale = 's', zero = 'z') =>
  names
    .split(' ')
    .map(
      (x) => `${x}q = QuantizeLinear(${x}, ${scale}, ${zero})
              ${x}d = DequantizeLinear(${x}q, ${scale}, ${zero})`,
    )
    .join('\n');
const weights = (dims: string) =>
  `int8${dims} w = uniform(seed=1, low=-100, high=100), int32[8] b = {1, 2, 3, 4, 5, 6, 7, 8}, float[8] fb = normal(seed=2)`;
const dequantized = `wd = DequantizeLinear(w, ws, wz) bd = DequantizeLinear(b, bs)`;
const image = (channels: number) => `float[1,${channels},6,6]`;

/** Checks all nodes but Q and DQ themselves. */
async function check(inputs: string, outputs: string, constants: string, nodes: string) {
  const model = parseModel(
    `main (${inputs}) => (${outputs}) < ${scales}${constants && `, ${constants}`} > { ${nodes} }`,
  );
  const before = await printModel(model, { weights: 'full' });
  const meant = [...model.graph.nodes].filter(({ op }) => !/^(De)?[Qq]uantizeLinear$/.test(op));
  const report = await checkFusion(engine, model, meant);
  expect(await printModel(model, { weights: 'full' })).toBe(before);
  expect([...report.fused, ...report.unfused.map(({ node }) => node)].sort()).toEqual(
    meant.map(({ label }) => label).sort(),
  );
  return report;
}

describe('Conv', () => {
  const conv = (attributes: string, rest: string, zero = 'z') =>
    `${qdq('x', 's', zero)} ${dequantized}
     [conv] c = Conv<pads = [1,1,1,1]${attributes}>(xd, wd, bd) ${rest}`;
  const checkConv = (text: string, outputs = `${image(8)} y`, dims = '[8,4,3,3]', channels = 4) =>
    check(`${image(channels)} x`, outputs, weights(dims), text);

  test('between Q and DQ it becomes QLinearConv', async () => {
    const report = await checkConv(conv('', `${qdq('c')} y = Identity(cd)`));
    expect(report.fused).toContain('conv');
    expect(report.unfused).toEqual([]);
    expect(report.operators).toEqual({ QuantizeLinear: 1, QLinearConv: 1, DequantizeLinear: 1 });
  });

  test('depthwise', async () => {
    const text = conv(', group = 8', `${qdq('c')} y = Identity(cd)`);
    expect((await checkConv(text, undefined, '[8,1,3,3]', 8)).unfused).toEqual([]);
  });

  test('a Relu that the range absorbs counts as fused', async () => {
    const report = await checkConv(
      conv('', `[relu] r = Relu(c) ${qdq('r', 's', 'z0')} y = Identity(rd)`),
    );
    expect(report.fused).toEqual(expect.arrayContaining(['conv', 'relu']));
  });

  test('a Relu that it does not absorb keeps both in float', async () => {
    const report = await checkConv(conv('', `[relu] r = Relu(c) ${qdq('r')} y = Identity(rd)`));
    const reason = `runs as float com.microsoft:FusedConv: what is merged into it is no part of the integer kernel`;
    expect(report.unfused).toEqual([
      { node: 'conv', op: 'Conv', reason },
      { node: 'relu', op: 'Relu', reason },
    ]);
  });

  test('without a Q behind', async () => {
    const report = await checkConv(conv('', '').replace('c =', 'y ='));
    expect(report.unfused).toEqual([
      {
        node: 'conv',
        op: 'Conv',
        reason: 'runs as float Conv: no QuantizeLinear takes its output',
      },
    ]);
  });

  test('with a second, float user', async () => {
    const text = conv('', `${qdq('c')} y = Identity(cd) [tanh] t = Tanh(c)`);
    const report = await checkConv(text, `${image(8)} y, ${image(8)} t`);
    expect(report.unfused.map(({ node }) => node)).toEqual(['conv', 'tanh']);
    expect(report.unfused[0]!.reason).toMatch(/^runs as float Conv: its float output goes to Tanh/);
    expect(report.unfused[1]!.reason).toMatch(/^runs as float Tanh: its input "c" is float/);
  });

  test('int8 activations are turned into uint8 where a value has one user', async () => {
    const text = conv('', `${qdq('c', 's', 'i8')} y = Identity(cd)`, 'i8');
    expect((await checkConv(text)).unfused).toEqual([]);
    const two = conv('', `${qdq('c', 's', 'i8')} y = Identity(cd) [tanh] t = Tanh(xd)`, 'i8');
    const report = await checkConv(two, `${image(8)} y, ${image(4)} t`);
    expect(report.unfused.map(({ node }) => node)).toContain('conv');
  });

  test('two nodes with one name and one without', async () => {
    const text = `${qdq('x')} ${dequantized}
      [same] c = Conv<pads = [1,1,1,1]>(xd, wd, bd) ${qdq('c')}
      [same] t = Tanh(cd) ${qdq('t')} m = MaxPool<kernel_shape = [2,2]>(td) ${qdq('m')} y = Identity(md)`;
    const report = await checkConv(text, `float[1,8,5,5] y`);
    expect(report.fused).toEqual(expect.arrayContaining(['same', 'm']));
    expect(report.unfused.map(({ node, op }) => [node, op])).toEqual([['same', 'Tanh']]);
  });
});

describe('Gemm and MatMul', () => {
  const checkMatrix = (text: string) =>
    check('float[3,4] x', 'float[3,8] y', weights('[4,8]'), `${qdq('x')} ${dequantized} ${text}`);

  test('Gemm gives float by itself when its bias is int32', async () => {
    const report = await checkMatrix('[fc] y = Gemm(xd, wd, bd)');
    expect(report.fused).toEqual(['fc']);
    expect(report.operators['com.microsoft:QGemm']).toBe(1);
  });

  test('a float bias keeps it in float', async () => {
    const report = await checkMatrix('[fc] y = Gemm(xd, wd, fb)');
    expect(report.unfused).toEqual([
      { node: 'fc', op: 'Gemm', reason: 'runs as float Gemm: its input "fb" is float' },
    ]);
  });

  test('MatMul, with and without a Q', async () => {
    expect((await checkMatrix('[mm] y = MatMul(xd, wd)')).fused).toEqual(['mm']);
    const report = await checkMatrix(`[mm] m = MatMul(xd, wd) ${qdq('m')} y = Identity(md)`);
    expect(report.unfused).toEqual([]);
    expect(report.operators.QLinearMatMul).toBe(1);
  });

  test('the runtime turns MatMul and a float Add into a float Gemm', async () => {
    const report = await checkMatrix('[mm] m = MatMul(xd, wd) [bias] y = Add(m, fb)');
    const reason = 'runs as float Gemm: its input "fb" is float';
    expect(report.unfused).toEqual([
      { node: 'mm', op: 'MatMul', reason },
      { node: 'bias', op: 'Add', reason },
    ]);
  });

  test('with a Q behind, the runtime quantizes that bias itself', async () => {
    const report = await checkMatrix(
      `[mm] m = MatMul(xd, wd) [bias] a = Add(m, fb) ${qdq('a')} y = Identity(ad)`,
    );
    expect(report.unfused).toEqual([]);
  });
});

describe('between convolutions', () => {
  const two = `${image(4)} a, ${image(4)} b`;

  test('Add, Concat and pooling stay on integers', async () => {
    const report = await check(
      two,
      'float[1,8,5,5] y',
      '',
      `${qdq('a b')} [add] c = Add(ad, bd) ${qdq('c', 's2')}
       [pool] p = MaxPool<kernel_shape = [2,2]>(cd) ${qdq('p', 's2')}
       [mean] q = AveragePool<kernel_shape = [1,1]>(pd) ${qdq('q')}
       [concat] k = Concat<axis = 1>(qd, pd) ${qdq('k')} y = Identity(kd)`,
    );
    expect(report.unfused).toEqual([]);
    expect(report.requantized).toEqual([]);
  });

  test('Add of a float', async () => {
    const report = await check(
      two,
      `${image(4)} y`,
      '',
      `${qdq('a')} [add] c = Add(ad, b) ${qdq('c')} y = Identity(cd)`,
    );
    expect(report.unfused).toContainEqual({
      node: 'add',
      op: 'Add',
      reason: 'runs as float Add: its input "b" is float',
    });
  });

  test('pooling between two scales', async () => {
    const report = await check(
      `${image(4)} a`,
      'float[1,4,5,5] y',
      '',
      `${qdq('a')} [pool] p = MaxPool<kernel_shape = [2,2]>(ad) ${qdq('p', 's2')} y = Identity(pd)`,
    );
    expect(report.unfused).toContainEqual({
      node: 'pool',
      op: 'MaxPool',
      reason:
        'runs as float MaxPool: the scales or zero points around it do not fit the integer kernel',
    });
  });

  test('16-bit activations', async () => {
    const model = parseModel(`< ir_version: 10, opset_import: ["" : 21] >
      main (${two}) => (${image(4)} y) < float s = {0.05}, uint16 z = {32768} >
      { ${qdq('a b')} [add] c = Add(ad, bd) ${qdq('c')} y = Identity(cd) }`);
    const add = [...model.graph.nodes].find(({ op }) => op === 'Add')!;
    const report = await checkFusion(engine, model, [add]);
    expect(report.unfused).toEqual([
      { node: 'add', op: 'Add', reason: 'runs as float Add: no kernel computes with uint16' },
    ]);
  });

  test('a conversion between two scales is named', async () => {
    const report = await check(
      two,
      `float[1,8,5,5] y`,
      '',
      `${qdq('a b')} [add] c = Add(ad, bd) ${qdq('c')}
       [again] eq = QuantizeLinear(cd, s2, z) ed = DequantizeLinear(eq, s2, z)
       [one] p = MaxPool<kernel_shape = [2,2]>(cd) ${qdq('p')}
       [two] q = MaxPool<kernel_shape = [2,2]>(ed) ${qdq('q', 's2')}
       [concat] k = Concat<axis = 1>(pd, qd) ${qdq('k')} y = Identity(kd)`,
    );
    expect(report.unfused).toEqual([]);
    expect(report.requantized).toEqual([
      {
        node: 'again',
        op: 'QuantizeLinear',
        reason: 'converts the integers of "cq" from one scale to another',
      },
    ]);
  });
});

test('a node that the model no longer holds is left out', async () => {
  const model = parseModel(`main (float[2] x) => (float[2] y) { y = Relu(x) [dead] z = Tanh(x) }`);
  const dead = [...model.graph.nodes].find(({ op }) => op === 'Tanh')!;
  model.graph.removeNode(dead);
  expect(await checkFusion(engine, model, [dead])).toEqual({
    fused: [],
    unfused: [],
    requantized: [],
    operators: { Relu: 1 },
  });
});

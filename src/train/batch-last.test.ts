/** Models with the batch as the last axis compute what they did, and move only where it pays. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of, randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { inferShapes } from '../engine/shapes.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { useBatchLast } from './batch-last.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Nodes over inputs, all of which are fed; the last value is the output, with those of `more`. */
async function modelOf(inputs: string, nodes: string, more: readonly string[] = []) {
  const lines = nodes.trim().split('\n');
  const last = lines.at(-1)!.split('=')[0]!.trim();
  const model = parseModel(`<ir_version: 9, opset_import: ["" : 18]>
net (${inputs}) => (${[...more, last].join(', ')}) {
${lines.join('\n')}
}`);
  await inferShapes(engine, model);
  return model;
}

async function run(model: Model) {
  const session = await engine.createSession(await modelSource(model));
  const results = await session.run(randomFeeds(session.inputs, { seed: 7 }));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => [
      name,
      { dims: tensor.dims, numbers: float32Of(tensor) },
    ]),
  );
}

/** Moves the model, compares its outputs, and says which operators it has. */
async function moved(model: Model, keep: readonly string[] = []): Promise<string[]> {
  const wanted = await run(model);
  useBatchLast(model, new Set(keep));
  const found = await run(model);
  expect(Object.keys(found)).toEqual(Object.keys(wanted));
  for (const [name, { dims, numbers }] of Object.entries(wanted)) {
    expect(found[name]!.dims).toEqual(dims);
    const most = numbers.reduce((largest, number) => Math.max(largest, Math.abs(number)), 0);
    const worst = numbers.reduce(
      (all, number, at) => Math.max(all, Math.abs(number - found[name]!.numbers[at]!)),
      0,
    );
    expect(worst, name).toBeLessThan(1e-5 * most);
  }
  return [...model.graph.nodes].map(({ op }) => op);
}

const transposes = (operators: readonly string[]) =>
  operators.filter((op) => op === 'Transpose').length;

const depthwise = (dims: string, kernel: string, attributes: string) =>
  [
    `float[16,3,${dims}] x, float[3,1,${kernel}] w, float[3] b`,
    `y = Conv<group=3${attributes}>(x, w, b)`,
  ] as const;

test.each([
  ['padded', ...depthwise('13,12', '3,3', ',pads=[1,1,1,1]')],
  ['small', ...depthwise('5,6', '3,3', ',pads=[1,1,1,1]')],
  ['small, stride 2', ...depthwise('5,6', '3,3', ',pads=[0,1,1,0],strides=[2,2]')],
  ['stride 2', ...depthwise('15,14', '3,3', ',pads=[0,0,1,1],strides=[2,2]')],
  ['stride of rows', ...depthwise('15,14', '3,2', ',pads=[1,0,0,1],strides=[3,1]')],
  ['dilated', ...depthwise('15,14', '3,3', ',pads=[2,3,2,3],dilations=[2,3]')],
  ['same', ...depthwise('15,14', '4,3', ',auto_pad="SAME_UPPER",strides=[2,2]')],
  ['1-D', ...depthwise('70', '5', ',pads=[3,1],dilations=[2]')],
  ['1-D, stride 3', ...depthwise('71', '4', ',strides=[3]')],
])('depthwise, %s', async (_, inputs, node) => {
  expect(transposes(await moved(await modelOf(inputs, node)))).toBe(2);
});

const net = `
s = Conv<pads=[0,0,1,1],strides=[2,2]>(x, ws, bs)
n = BatchNormalization(s, scale, shift, mean, var)
c = Clip(n, low, high)
d = Conv<group=4,pads=[1,1,1,1]>(c, wd)
r = Relu(d)
p = Conv(r, wp, bp)
m = Mul(p, half)
a = Add(m, c)
e = Conv<group=4,pads=[1,1,1,1]>(a, wd)
h = Conv<group=4,pads=[1,1,1,1]>(e, wd)
g = GlobalAveragePool(h)
f = Flatten(g)
y = MatMul(f, v)`;
const netInputs = `float[16,3,18,16] x, float[4,3,3,3] ws, float[4] bs, float[4] scale,
  float[4] shift, float[4] mean, float[4] var, float low, float high, float[4,1,3,3] wd,
  float[4,4,1,1] wp, float[4] bp, float half, float[4,2] v`;
const bounds = ['low', 'high', 'var'];

/** Random bounds may cross, and variances be below zero. */
async function wholeNet(more: readonly string[] = []) {
  const model = await modelOf(netInputs, net, more);
  for (const name of bounds) {
    const { users } = model.graph.value(name);
    const numbers = { low: '{-1}', high: '{2}', var: '{1,2,3,4}' }[name]!;
    const dims = name === 'var' ? '[4]' : '';
    const given = parseModel(`<ir_version: 9, opset_import: ["" : 18]>
g (float${dims} z) => (float${dims} o) <float${dims} k = ${numbers}> { o = Add(z, k) }`);
    const constant = model.graph.addInitializer(`${name}_`, given.graph.value('k').initializer!);
    for (const node of [...users]) {
      const at = node.inputs.findIndex((input) => input?.name === name);
      node.setInput(at, constant);
    }
    model.graph.inputs.splice(model.graph.inputs.indexOf(model.graph.value(name)), 1);
  }
  return model;
}

test('a network is transposed where it begins and where it ends', async () => {
  const operators = await moved(await wholeNet());
  expect(transposes(operators)).toBe(2);
  expect(operators).not.toContain('GlobalAveragePool');
});

test('values that somebody asks for keep their layout', async () => {
  const model = await wholeNet(['c']);
  expect(transposes(await moved(model, ['a']))).toBe(4);
  expect(model.graph.value('a').producer!.op).toBe('Transpose');
});

test.each([
  ['no depthwise convolution', 'float[16,3,9,9] x, float[4,3,1,1] w', 'y = Conv(x, w)'],
  ['few samples', 'float[4,3,12,12] x, float[3,1,3,3] w', 'y = Conv<group=3,pads=[1,1,1,1]>(x, w)'],
  [
    'more to transpose than to gain',
    'float[16,32,9,9] x, float[4,32,1,1] w, float[4,1,3,3] d, float[32,4,1,1] v',
    'a = Conv(x, w)\nb = Conv<group=4>(a, d)\ny = Conv(b, v)',
  ],
])('%s: stays as it is', async (_, inputs, nodes) => {
  const model = await modelOf(inputs, nodes);
  const before = [...model.graph.nodes].map(({ op }) => op);
  expect(await moved(model)).toEqual(before);
});

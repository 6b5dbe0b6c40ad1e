import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { openBatch } from './open-batch.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const model = (inputs: string, body: string) =>
  parseModel(`<ir_version: 8, opset_import: ["": 17]>
agraph (${inputs}) => (float[N,M] y) <
  float[6,2] w = {1,2,3,4,5,6,7,8,9,10,11,12}, int64[2] flat = {1,6}, int64[3] merged = {2,3,1},
  float[1,2] row = {1,2}, int64[3] page = {1,1,2}, int64[2] last = {1,4},
  int64[2] pair = {2,3}, float[1,3] token = {1,-1,2}, float[3,1] column = {1,2,3},
  int64[1] zero = {0}, int64[1] two = {2}
> {
${body}
}`);

test('an open batch stays', async () => {
  const open = model('float[N,6] x', '  y = MatMul(x, w)');
  expect(await openBatch(open, engine)).toBe(open);
});

test('a fixed batch stays where it is the one to train with', async () => {
  const fixed = model('float[1,2,3] x', '  a = Reshape(x, flat)\n  y = MatMul(a, w)');
  expect(await openBatch(fixed, engine, 1)).toBe(fixed);
  expect(await openBatch(fixed, engine, 2)).not.toBe(fixed);
});

test('the batch in the shapes of Reshape is opened, and the model itself stays', async () => {
  const fixed = model('float[1,2,3] x', '  a = Reshape(x, flat)\n  y = MatMul(a, w)');
  const open = await openBatch(fixed, engine);
  expect(open.graph.inputs[0]!.dims).toEqual(['batch', 2, 3]);
  expect(open.graph.value('y').dims).toEqual(['batch', 2]);
  expect(fixed.graph.inputs[0]!.dims).toEqual([1, 2, 3]);
});

test('a batch merged with another axis grows with it', async () => {
  const body = `  a = Reshape(x, merged)
  b = Reshape(a, flat)
  y = MatMul(b, w)`;
  const open = await openBatch(model('float[1,2,3] x', body), engine);
  // The runtime does not tell what is behind the merged dim; the proof has seen it.
  expect(open.graph.inputs[0]!.dims).toEqual(['batch', 2, 3]);
});

test('a model that mixes its samples is refused with what was seen', async () => {
  const body = '  a = Softmax<axis = 0>(x)\n  y = MatMul(a, w)';
  await expect(openBatch(model('float[2,6] x', body), engine)).rejects.toThrow(
    /made for batches of 2.*depends on the samples beside it/,
  );
});

test('what is made for one sample gets an axis for many in front', async () => {
  // Attention of two-dimensional matrices, with a class token and a mean over all that there is.
  const body = `  rows = Reshape(x, pair)
  t = Transpose(rows)
  scores = MatMul(rows, t)
  weights = Softmax<axis = 1>(scores)
  mixed = MatMul(weights, rows)
  all = Concat<axis = 0>(token, mixed)
  scaled = Mul(all, column)
  one = Slice(scaled, zero, two, zero)
  a = Reshape(one, flat)
  y = MatMul(a, w)`;
  const fixed = model('float[1,2,3] x', body);
  const open = await openBatch(fixed, engine);
  const run = async (each: typeof fixed, dims: number[], numbers: number[]) => {
    const session = await engine.createSession(await modelSource(each));
    const results = await session.run({ x: hostTensor('float', dims, Float32Array.from(numbers)) });
    await session.release();
    return [...float32Of(results.y!)];
  };
  const samples = [
    [1, 2, 3, -1, 0.5, 2],
    [0.1, -2, 1, 3, 1, -0.5],
  ];
  const alone = [];
  for (const sample of samples) alone.push(...(await run(fixed, [1, 2, 3], sample)));
  const both = await run(open, [2, 2, 3], samples.flat());
  expect(both).toHaveLength(4);
  for (const [at, value] of both.entries()) expect(value).toBeCloseTo(alone[at]!, 5);
});

test('a constant beside the samples is repeated for each, and stays one constant', async () => {
  const body = `  a = Reshape(x, flat)
  b = MatMul(a, w)
  y = Concat<axis = 1>(row, b)`;
  const fixed = model('float[1,2,3] x', body);
  const open = await openBatch(fixed, engine);
  expect(open.graph.value('row').initializer!.dims).toEqual([1, 2]);
  expect(open.graph.outputs[0]!.producer!.input(0).producer!.op).toBe('Expand');
  expect([...fixed.graph.nodes].map(({ op }) => op)).toEqual(['Reshape', 'MatMul', 'Concat']);
});

test('a batch that stays baked in is refused with what the runtime says', async () => {
  const body = `  a = Reshape(x, flat)
  b = MatMul(a, w)
  c = Reshape(b, page)
  d = Concat<axis = 0>(c, c)
  e = Reshape(d, last)
  y = Trilu(e)`;
  await expect(openBatch(model('float[1,2,3] x', body), engine)).rejects.toThrow(
    /cannot be opened: /,
  );
});

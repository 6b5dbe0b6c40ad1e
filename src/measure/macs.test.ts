import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { Graph } from '../graph/graph.js';
import { Model } from '../graph/model.js';
import { type Dim, tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { countMacs, describeUnknown, measureMacs } from './macs.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
});

const zeros = (dims: readonly number[]) =>
  Tensor.of('float', dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));

/** Conv 3x3 of 3 to 8 channels, ReLU, global pooling, Gemm to 10. */
function smallNet(dims: readonly Dim[]): Model {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const x = graph.addInput('x', tensorType('float', dims));
  const conv = graph.addNode({
    opType: 'Conv',
    inputs: [x, graph.addInitializer('w', zeros([8, 3, 3, 3]))],
    attributes: { pads: [1, 1, 1, 1] },
  });
  const relu = graph.addNode({ opType: 'Relu', inputs: [conv.output()] });
  const pool = graph.addNode({ opType: 'GlobalAveragePool', inputs: [relu.output()] });
  const flat = graph.addNode({ opType: 'Flatten', inputs: [pool.output()] });
  const gemm = graph.addNode({
    opType: 'Gemm',
    inputs: [flat.output(), graph.addInitializer('fc', zeros([8, 10]))],
    outputs: ['y'],
  });
  gemm.output().type = tensorType('float', [dims[0], 10]);
  graph.outputs.push(gemm.output());
  return model;
}

test('sums the nodes, an open first dim is one', async () => {
  const report = await measureMacs(engine, smallNet(['N', 3, 16, 16]));
  expect(report.macs).toBe(8 * 256 * 27 + 80);
  expect(report.inputs).toEqual({ x: [1, 3, 16, 16] });
  expect(report.byOperator.map(({ op, macs }) => [op, macs])).toEqual([
    ['Conv', 55_296],
    ['Gemm', 80],
    ['Relu', 0],
    ['GlobalAveragePool', 0],
    ['Flatten', 0],
  ]);
  expect(report).toMatchObject({ unknown: [], notes: [] });
  expect(describeUnknown(report)).toBeUndefined();
});

test('sizes of symbols and of whole inputs can be given', async () => {
  const model = smallNet(['N', 3, 'h', 'w']);
  const bySymbol = await measureMacs(engine, model, { dims: { N: 2, h: 4, w: 6 } });
  expect(bySymbol.macs).toBe(2 * (8 * 24 * 27 + 80));
  const byInput = await measureMacs(engine, model, { dims: { x: [2, 3, 4, 6] } });
  expect(byInput).toEqual(bySymbol);
  await expect(measureMacs(engine, model, { dims: { x: [2, 4, 4, 6] } })).rejects.toMatchObject({
    code: 'usage',
  });
  expect(model.graph.inputs[0]!.dims).toEqual(['N', 3, 'h', 'w']);
});

test('a dim that stays open leaves its nodes unknown, by name', async () => {
  const report = await measureMacs(engine, smallNet(['N', 3, 'h', 'w']));
  expect(report.macs).toBe(80);
  expect(report.unknown).toMatchObject([{ op: 'Conv', reason: expect.stringContaining('shape') }]);
  expect(report.notes[0]).toContain('h of "x", w of "x"');
  expect(describeUnknown(report)).toMatch(/^MACs of 1 node are unknown: Conv/);
});

test('dims that depend on numbers are read off a run', async () => {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const x = graph.addInput('x', tensorType('float', [4, 4]));
  const ones = graph.addInitializer('ones', Tensor.of('float', [3], [1, 0, 1]));
  const found = graph.addNode({ opType: 'NonZero', inputs: [ones] }).output();
  const flat = graph.addNode({ opType: 'Flatten', inputs: [found] }).output();
  const indices = graph
    .addNode({
      opType: 'Reshape',
      inputs: [flat, graph.addInitializer('s', Tensor.of('int64', [1], [-1]))],
    })
    .output();
  const rows = graph.addNode({ opType: 'Gather', inputs: [x, indices] }).output();
  const y = graph.addNode({
    opType: 'MatMul',
    inputs: [rows, graph.addInitializer('w', zeros([4, 5]))],
  });
  graph.outputs.push(y.output());
  const report = await measureMacs(engine, model);
  expect(report.macs).toBe(2 * 5 * 4);
  expect(report.notes).toEqual([expect.stringContaining('read off a run')]);
});

test('of two branches the costlier one counts', () => {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const condition = graph.addInput('c', tensorType('bool', []));
  const x = graph.addInput('x', tensorType('float', [2, 4]));
  const branch = (width: number) => {
    const inner = new Graph(`to ${width}`);
    const w = inner.addInitializer(`w${width}`, zeros([4, width]));
    const y = inner.addNode({ opType: 'MatMul', inputs: [x, w], outputs: [`y${width}`] }).output();
    y.type = tensorType('float', [2, width]);
    inner.outputs.push(y);
    return inner;
  };
  const node = graph.addNode({
    opType: 'If',
    inputs: [condition],
    attributes: { then_branch: branch(3), else_branch: branch(7) },
  });
  graph.outputs.push(node.output());
  const report = countMacs(model, (value) => {
    const dims = value.dims as number[] | undefined;
    return dims && { dataType: 'float', dims };
  });
  expect(report.macs).toBe(2 * 7 * 4);
  expect(report.notes).toEqual([expect.stringContaining('costlier of its branches')]);
});

test('operators outside the table are named', () => {
  const model = new Model({ opsets: [['acme', 1]] });
  const x = model.graph.addInput('x', tensorType('float', [2]));
  const node = model.graph.addNode({ opType: 'Warp', domain: 'acme', name: 'w', inputs: [x] });
  model.graph.outputs.push(node.output());
  const report = countMacs(model, () => ({ dataType: 'float', dims: [2] }));
  expect(report.unknown).toEqual([
    { node: 'w', op: 'acme:Warp', reason: 'its cost is not in the table' },
  ]);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { nextSteps } from '../optimize/next-steps.js';
import { quantize } from '../quantize/index.js';
import { inspectionText } from '../report/inspection-text.js';
import { checkModel } from './check.js';
import { inspectModel } from './inspect.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** A MatMul with 64 x 64 weights, its bias, and a Relu behind an Identity. */
async function linear(): Promise<Model> {
  const list = (count: number, at: (i: number) => number) =>
    Array.from({ length: count }, (_, i) => Math.fround(at(i))).join(', ');
  return parseModel(`
    < ir_version: 8, opset_import: ["" : 17], producer_name: "test" >
    main (float[N,64] x) => (float[N,64] y)
    <
      float[64] b = {${list(64, () => 0.5)}},
      float[64,64] w = {${list(64 * 64, Math.sin)}}
    >
    {
      [same] h = Identity(x)
      [act] r = Relu(h)
      [fc] p = MatMul(r, w)
      [add] y = Add(p, b)
    }`);
}

const kinds = async (model: Model) => (await checkModel(model, { engine })).findings;

describe('inspectModel', () => {
  test('tells interface, operators, bytes and MACs', async () => {
    const model = await linear();
    model.metadata.set('pare.recipe', 'dynamic');
    model.metadata.set('author', 'me');
    const found = await inspectModel(model, { engine, dims: { N: 3 }, file: 'm.onnx' });
    expect(found).toMatchObject({
      file: 'm.onnx',
      irVersion: 8,
      opsets: { '': 17 },
      producer: 'test',
      metadata: { author: 'me' },
      provenance: { 'pare.recipe': 'dynamic' },
      inputs: [{ name: 'x', type: 'float[N,64]', optional: false }],
      nodes: 4,
      parameters: 64 * 64 + 64,
      tensorBytes: 4 * (64 * 64 + 64),
      macs: { macs: 3 * 64 * 64, unknown: [] },
      quantization: { forms: [], nodes: {} },
      simplify: { nodesBefore: 4, nodesAfter: 3, rewrites: { 'remove-identity': 1 } },
    });
    expect(found.operators[0]).toEqual({
      op: 'MatMul',
      nodes: 1,
      parameters: 64 * 64,
      weightBytes: 4 * 64 * 64,
      macs: 3 * 64 * 64,
    });
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
    expect(found.next[0]!.command).toBe('pare verify m.onnx');
    // What a pass notes for later ones is no receipt.
    const cut = nextSteps({ ...found, provenance: { 'pare.cut': '{}' } });
    expect(cut.map(({ command }) => command).join()).not.toContain('verify');
  });

  test('tries the schemes on copies and says why nodes are left alone', async () => {
    const model = await linear();
    const { graph } = model;
    for (const [at, size] of [4, 8].entries()) {
      const w = graph.addInitializer(
        `v${at}`,
        Tensor.of('float', [64, size], new Float32Array(64 * size)),
      );
      const node = graph.addNode({
        opType: 'MatMul',
        name: `s${at}`,
        inputs: [graph.value('x'), w],
      });
      graph.outputs.push(node.output());
    }
    const { schemes, next } = await inspectModel(model, { engine });
    const stored = schemes!.find(({ scheme }) => scheme === 'weight-only')!;
    expect(stored.changed).toBe(1);
    expect(stored.left).toEqual([
      {
        reason: 'its weight has 256..512 elements, fewer than minElements 1024',
        nodes: 2,
        ops: ['MatMul'],
      },
    ]);
    expect(stored.tensorBytes).toBeLessThan(4 * 64 * 64);
    expect(graph.value('w').initializer?.dataType).toBe('float');
    expect(next.map(({ command }) => command.split(' ')[1])).toEqual([
      'optimize',
      'quantize',
      'simplify',
    ]);
  });

  test('recognizes what is quantized already, and does not advise to do it again', async () => {
    const model = await parseModel(`
      < ir_version: 8, opset_import: ["" : 17] >
      main (float[1,4] x) => (float[1,4] y)
      < float s = {0.1}, uint8 z = {128}, int8[4,4] w = {${new Array(16).fill(3).join(', ')}}, int8 zw = {0} >
      {
        q = QuantizeLinear(x, s, z)
        d = DequantizeLinear(q, s, z)
        wd = DequantizeLinear(w, s, zw)
        y = MatMul(d, wd)
      }`);
    const { quantization, next, schemes } = await inspectModel(model, { tryBytes: 0 });
    expect(quantization).toEqual({
      forms: ['qdq', 'stored-integer'],
      nodes: { qdq: 2, 'stored-integer': 1 },
    });
    expect(schemes).toBeNull();
    expect(next.some(({ command }) => command.includes('optimize'))).toBe(false);
  });

  test.each(['dequantize', 'cast'])('counts weights stored as integers: form %s', async (form) => {
    const { model } = await quantize(await linear(), 'weight-only', { form });
    const { byRole, quantization } = await inspectModel(model, { tryBytes: 0 });
    expect(byRole.weight).toEqual({ tensors: 1, bytes: 64 * 64, elements: 64 * 64 });
    expect(quantization.forms).toEqual(['stored-integer']);
  });

  test('lists subgraphs, and nodes with the place where they are', async () => {
    const model = await parseModel(`
      < ir_version: 8, opset_import: ["" : 17] >
      main (bool c, float[2] x) => (float[2] y)
      {
        [choose] y = If(c) <
          else_branch = no () => (float[2] n) { n = Neg(x) },
          then_branch = yes () => (float[2] p) { p = Abs(x) }
        >
      }`);
    const { subgraphs, nodeList } = await inspectModel(model, { nodes: true });
    expect(subgraphs).toEqual([
      { owner: 'If "choose" else_branch', nodes: 1 },
      { owner: 'If "choose" then_branch', nodes: 1 },
    ]);
    expect(nodeList!.map(({ op, inside }) => [op, inside])).toEqual([
      ['If', null],
      ['Neg', 'If "choose" else_branch'],
      ['Abs', 'If "choose" then_branch'],
    ]);
  });

  test('inspects what the runtime cannot load', async () => {
    const model = await parseModel(`
      < ir_version: 8, opset_import: ["" : 17, "custom" : 1] >
      main (float[2] x) => (float[2] y) { y = custom.Magic(x) }`);
    const { macs, notes, operators } = await inspectModel(model, { engine });
    expect(macs).toBeNull();
    expect(notes[0]).toMatch(/does not load the model/);
    expect(operators).toMatchObject([{ op: 'custom:Magic', nodes: 1 }]);
  });

  test('reads as a report within the width of the terminal', async () => {
    const model = await linear();
    const found = await inspectModel(model, { engine, nodes: true, tensors: true, check: true });
    const text = inspectionText(found, { width: 80 });
    expect(text).toContain('inputs      x: float[N,64]');
    expect(text).toContain('4,096 MACs for x [1,64]');
    expect(text).toContain('check: nothing is wrong');
    const tables = text.slice(0, text.indexOf('next')).split('\n');
    expect(Math.max(...tables.map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

describe('checkModel', () => {
  test('finds nothing in a sound model', async () => {
    expect(await kinds(await linear())).toEqual([]);
  });

  test('finds numbers that are not finite, with their place', async () => {
    const model = await linear();
    const values = new Float32Array(64 * 64);
    values[64 * 3 + 2] = Number.NaN;
    values[64 * 5] = Number.NEGATIVE_INFINITY;
    model.graph.value('w').initializer = Tensor.of('float', [64, 64], values);
    expect(await kinds(model)).toEqual([
      {
        kind: 'not-finite',
        severity: 'error',
        name: 'w',
        message: '1 NaN and 1 infinite of 4096 elements, first at [3,2]',
      },
    ]);
  });

  test('finds what float16 cannot hold, and denormals', async () => {
    const model = await linear();
    const values = new Float32Array(64 * 64).fill(65504);
    values[0] = -65519;
    values[1] = 70000;
    values[2] = 1e-40;
    model.graph.value('w').initializer = Tensor.of('float', [64, 64], values);
    const found = await kinds(model);
    expect(found.map(({ kind }) => kind)).toEqual(['float16-overflow', 'denormal']);
    expect(found[0]!.message).toMatch(/^1 of 4096 elements are beyond 65504/);
  });

  test('finds what nothing uses', async () => {
    const model = await linear();
    const { graph } = model;
    graph.addInput('spare', tensorType('float', [1]));
    const lone = graph.addInitializer('lone', Tensor.of('float', [2], [1, 2]));
    graph.addNode({ opType: 'Neg', name: 'dead', inputs: [lone] });
    graph.addInitializer('left over', Tensor.of('float', [1], [1]));
    expect((await kinds(model)).map(({ kind, name, message }) => [kind, name, message])).toEqual([
      ['unused-input', 'spare', 'nothing uses this input of the model'],
      ['dead-node', 'dead', 'no output depends on this Neg'],
      ['dead-initializer', 'lone', 'only dead nodes use it (8 bytes)'],
      ['dead-initializer', 'left over', 'nothing uses it (4 bytes)'],
    ]);
  });

  test('finds weights that are stored twice', async () => {
    const model = await linear();
    const { graph } = model;
    const copy = Tensor.of(
      'float',
      [64, 64],
      (await graph.value('w').initializer!.floats()).slice(),
    );
    const node = graph.addNode({
      opType: 'MatMul',
      inputs: [graph.value('x'), graph.addInitializer('w2', copy)],
    });
    graph.outputs.push(node.output());
    expect(await kinds(model)).toMatchObject([
      { kind: 'duplicate-weight', name: 'w2', message: 'the same 16384 bytes as w' },
    ]);
  });

  test('finds declared types that are wrong', async () => {
    const model = await linear();
    model.graph.value('p').type = tensorType('float', ['N', 32]);
    model.graph.value('h').type = tensorType('float', [undefined, 64]);
    expect(await kinds(model)).toMatchObject([
      { kind: 'wrong-type', name: 'p', message: 'declared float[N,32], inferred float[N,64]' },
    ]);
    const { notes } = await checkModel(model);
    expect(notes[0]).toMatch(/no engine/);
  });
});

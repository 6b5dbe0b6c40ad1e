import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { quantize } from '../quantize/index.js';
import { diffText } from '../report/diff-text.js';
import { diffModels } from './diff.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Two layers of 48 x 48, the second one transposed. */
async function twoLayers(): Promise<Model> {
  const waves = (step: number) =>
    Array.from({ length: 48 * 48 }, (_, i) => Math.fround(Math.sin(i * step))).join(', ');
  return parseModel(`
    < ir_version: 8, opset_import: ["" : 17] >
    main (float[N,48] x) => (float[N,48] y)
    < float[48,48] w1 = {${waves(1.3)}}, float[48,48] w2 = {${waves(2.7)}} >
    {
      [act] r = Relu(x)
      [first] h1 = MatMul(r, w1)
      [second] y = Gemm<transB = 1>(h1, w2)
    }`);
}

describe('diffModels', () => {
  test('finds nothing between a model and its copy', async () => {
    const model = await twoLayers();
    const diff = await diffModels(model, cloneModel(model), { engine });
    expect(diff).toMatchObject({
      equal: true,
      difference: null,
      interface: [],
      head: [],
      nodes: { unchanged: 3, added: [], removed: [], changed: [] },
      weights: { unchanged: 2, renamed: [], changed: [], removed: [], added: [] },
      outputs: { samples: 4, inputs: 'random', notes: [] },
    });
    expect(diff.outputs!.outputs[0]!.agreement!.exact).toBe(true);
    expect(JSON.parse(JSON.stringify(diff))).toEqual(diff);
    expect(diffText(diff, ['a', 'b'])).toMatch(/^a and b are equal\n/);
  });

  test('puts what breaks callers first', async () => {
    const a = await twoLayers();
    const b = cloneModel(a);
    b.graph.inputs[0]!.type = tensorType('float', [1, 48]);
    b.graph.outputs[0]!.type = tensorType('float', [1, 48]);
    b.graph.addInput('extra', tensorType('float', [1]));
    b.opsets.set('', 18);
    b.metadata.set('k', 'v');
    const diff = await diffModels(a, b, { engine });
    expect(diff.interface).toEqual([
      {
        port: 'input',
        name: 'x',
        change: 'type',
        a: 'float[N,48]',
        b: 'float[1,48]',
        breaking: true,
      },
      { port: 'input', name: 'extra', change: 'added', a: null, b: 'float[1]', breaking: true },
      {
        port: 'output',
        name: 'y',
        change: 'type',
        a: 'float[N,48]',
        b: 'float[1,48]',
        breaking: false,
      },
    ]);
    expect(diff.head).toEqual([
      { what: 'opset ai.onnx', a: '17', b: '18' },
      { what: 'metadata k', a: null, b: 'v' },
    ]);
    expect(diff.outputs).toBeNull();
    expect(diff.notes[0]).toMatch(/only the second model has an input "extra"/);
    expect(diffText(diff, ['a', 'b'])).toContain(
      '2 changes to the interface that can break callers',
    );
  });

  test('an input that got wider breaks nobody', async () => {
    const a = await twoLayers();
    const b = cloneModel(a);
    a.graph.inputs[0]!.type = tensorType('float', [1, 48]);
    const { interface: changes } = await diffModels(a, b);
    expect(changes).toMatchObject([{ name: 'x', change: 'type', breaking: false }]);
  });

  test('recognizes renamed nodes by output and by structure', async () => {
    const a = await twoLayers();
    const b = cloneModel(a);
    b.graph.node('first')!.name = 'renamed';
    const act = b.graph.node('act')!;
    act.name = 'other';
    act.output().rename('r2');
    const { nodes } = await diffModels(a, b);
    expect(nodes.changed).toEqual([
      { node: 'act', op: 'Relu', inside: null, now: 'other', matchedBy: 'structure', changes: [] },
      {
        node: 'first',
        op: 'MatMul',
        inside: null,
        now: 'renamed',
        matchedBy: 'output',
        changes: [],
      },
    ]);
    expect([nodes.added, nodes.removed]).toEqual([[], []]);
  });

  test('names changed attributes, inputs and operators', async () => {
    const a = await twoLayers();
    const b = cloneModel(a);
    const { graph } = b;
    const second = graph.node('second')!;
    second.setAttribute('transB', 0);
    second.setInput(0, graph.value('r'));
    graph.node('act')!.opType = 'Abs';
    const { nodes } = await diffModels(a, b);
    expect(nodes.changed.map(({ node, changes }) => [node, changes])).toEqual([
      ['act', ['operator Relu and Abs']],
      ['second', ['transB 1 and 0', 'input 0 h1 and r']],
    ]);
  });

  test('measures how far weights are apart', async () => {
    const a = await twoLayers();
    const b = cloneModel(a);
    const values = (await a.graph.value('w1').initializer!.floats()).slice();
    values[7] = 0;
    b.graph.value('w1').initializer = Tensor.of('float', [48, 48], values);
    b.graph.value('w2').rename('w2_renamed');
    const { weights } = await diffModels(a, b);
    expect(weights.renamed).toEqual([{ a: 'w2', b: 'w2_renamed' }]);
    const [change] = weights.changed;
    const before = Math.fround(Math.sin(7 * 1.3));
    expect(change).toMatchObject({ a: { name: 'w1', type: 'float[48,48]' }, node: null });
    expect(change!.error).toMatchObject({ different: 1, maxAbsError: Math.abs(before) });
    expect(change!.error!.sparsityB - change!.error!.sparsityA).toBeCloseTo(1 / 48 ** 2, 12);
  });

  test.each([
    ['dequantize', 'first_DequantizeLinear'],
    ['cast', 'first_Mul'],
  ])('compares stored integers by the numbers they stand for: form %s', async (form, node) => {
    const a = await twoLayers();
    const { model: b } = await quantize(a, 'weight-only', { form });
    const { weights, nodes, outputs } = await diffModels(a, b, { engine });
    expect(nodes.added.map((ref) => ref.node)).toContain(node);
    expect(weights.removed).toEqual([]);
    expect(weights.changed.map((change) => [change.a.name, change.node])).toEqual(
      expect.arrayContaining([
        ['w1', 'first'],
        ['w2', 'second'],
      ]),
    );
    for (const { b: stored, error } of weights.changed) {
      expect(stored.type).toBe('int8[48,48]');
      expect(error!.snrDb).toBeGreaterThan(40);
      expect(error!.maxRelativeError).toBeLessThan(0.005);
    }
    expect(outputs!.outputs[0]!.agreement!.snrDb).toBeGreaterThan(30);
  });

  test('compares outputs on the inputs that are given', async () => {
    const a = await twoLayers();
    const b = cloneModel(a);
    b.graph.node('act')!.opType = 'Abs';
    const feeds = async function* () {
      yield {
        x: { dataType: 'float' as const, dims: [1, 48], data: new Float32Array(48).fill(1) },
      };
    };
    const { outputs } = await diffModels(a, b, { engine, feeds });
    expect(outputs).toMatchObject({ samples: 1, inputs: 'given' });
    expect(outputs!.outputs[0]!.agreement!.exact).toBe(true);
    const random = await diffModels(a, b, { engine });
    expect(random.outputs!.outputs[0]!.agreement!.exact).toBe(false);
  });
});

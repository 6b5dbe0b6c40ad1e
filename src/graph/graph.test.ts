import { describe, expect, test } from 'vitest';
import { Tensor } from '../onnx/tensor.js';
import { cloneModel } from './clone.js';
import { differenceOf } from './equal.js';
import { Graph } from './graph.js';
import { parseModel } from './parse.js';
import { printGraph } from './print.js';
import { modelToProto } from './to-proto.js';
import { tensorType } from './value-type.js';

const parse = (text: string) => parseModel(text).graph;

/** 'a -> b' for each node: what it makes and its operator. */
const order = (graph: Graph) => Array.from(graph.nodes, (node) => node.output().name).join(' ');

const chain = 'main (float x) => (float y) { a = Neg(x) b = Abs(a) c = Exp(b) y = Log(c) }';

describe('names', () => {
  test('a fresh name is free in every scope of the model', () => {
    const graph = parse(`main (bool c, float x) => (float y) {
      y = If(c) < then_branch = t () => (float n) { n = Neg(x) }, else_branch = e () => (float m) { m = Abs(x) } >
    }`);
    expect(graph.freshName('k')).toBe('k');
    expect(graph.freshName('n')).toBe('n_1');
    const inner = graph.node('')!.graphAttribute('then_branch')!;
    expect(inner.freshName('m')).toBe('m_1');
    graph.addInitializer('m', Tensor.scalar('float', 1));
    expect(inner.freshName('m')).toBe('m_2');
    expect(() => graph.value('x').rename('n')).toThrow('the name "n" is taken');
  });

  test('names of a subgraph count from the moment it joins', () => {
    const graph = parse(chain);
    expect(graph.freshName('inside')).toBe('inside');
    const branch = new Graph('branch');
    branch.addNode({ opType: 'Neg', inputs: [], outputs: ['inside'] });
    const node = graph.addNode({ opType: 'If', inputs: [], attributes: { then_branch: branch } });
    expect(graph.freshName('inside')).toBe('inside_1');
    node.removeAttribute('then_branch');
    expect(branch.freshName('inside')).toBe('inside_1');
    expect(branch.freshName('x')).toBe('x');
  });

  test('new nodes get names and outputs of their own', () => {
    const graph = parse('main (float x) => (float y) { [Relu] y = Relu(x) }');
    const x = graph.value('x');
    const [one, two] = [1, 2].map(() => graph.addNode({ opType: 'Relu', inputs: [x] }));
    expect([one!.name, two!.name]).toEqual(['Relu_1', 'Relu_2']);
    expect(one!.output().name).not.toBe(two!.output().name);
    expect(() => graph.addNode({ opType: 'Neg', inputs: [x], outputs: ['y'] })).toThrow('twice');
  });

  test('rename moves the value to its new name', () => {
    const graph = parse(chain);
    const a = graph.value('a');
    a.rename('new');
    expect(graph.find('a')).toBeUndefined();
    expect(graph.value('new')).toBe(a);
    expect(() => a.rename('b')).toThrow('the name "b" is taken');
  });
});

describe('edits', () => {
  test('replaceUses reaches every use, also the second one of a node and those in subgraphs', () => {
    const graph = parse(`main (bool c, float x, float z) => (float y) {
      a = Add(x, x)
      y = If(c) < then_branch = t () => (float n) { n = Mul(x, a) }, else_branch = e () => (float m) { m = Abs(a) } >
    }`);
    const [x, z] = [graph.value('x'), graph.value('z')];
    expect(x.uses.length).toBe(3);
    x.replaceUses(z);
    expect(x.isUnused).toBe(true);
    expect(z.uses.map(({ node, index }) => `${node.opType} ${index}`)).toEqual([
      'Add 0',
      'Add 1',
      'Mul 0',
    ]);
  });

  test('onlyUse: exactly one, and no graph output', () => {
    const graph = parse(
      'main (float x) => (float a) { a = Neg(x) b = Abs(a) c = Add(b, b) d = Exp(c) }',
    );
    const use = (name: string) => graph.value(name).onlyUse?.node.opType;
    expect([use('a'), use('b'), use('c'), use('d')]).toEqual([
      undefined,
      undefined,
      'Exp',
      undefined,
    ]);
  });

  test('a node whose output is used or returned cannot be removed', () => {
    const graph = parse(chain);
    const [first, , , last] = [...graph.nodes];
    expect(() => graph.removeNode(first!)).toThrow('"a" is still used');
    expect(() => graph.removeNode(last!)).toThrow('"y" is still used');
    expect(() => graph.removeValue(graph.value('x'))).toThrow('"x" is still in use');
  });

  test('removing a node frees the values that its subgraphs captured', () => {
    const graph = parse(`main (bool c, float x) => (float y) {
      a = Neg(x)
      u = If(c) < then_branch = t () => (float n) { n = Mul(a, a) }, else_branch = e () => (float m) { m = Abs(a) } >
      y = Abs(x)
    }`);
    const a = graph.value('a');
    expect(a.users.size).toBe(2);
    graph.removeNode([...graph.nodes][1]!);
    expect(a.isUnused).toBe(true);
    expect(graph.find('u')).toBeUndefined();
  });

  test('a subgraph that moves to another node keeps its links', () => {
    const graph = parse(`main (bool c, float x) => (float y) {
      y = If(c) < then_branch = t () => (float n) { n = Neg(x) }, else_branch = e () => (float m) { m = Abs(x) } >
    }`);
    const old = graph.nodes.first!;
    const branch = old.graphAttribute('then_branch')!;
    const next = graph.addNode({ opType: 'If', inputs: [], attributes: { then_branch: branch } });
    expect(graph.replaceOutput(graph.value('y'), next.output())).toBe(true);
    graph.removeNode(old);
    expect(branch.owner).toBe(next);
    expect(graph.value('x').users).toEqual(new Set([branch.nodes.first]));
  });

  test('outputs: no second producer, no second place', () => {
    const graph = parse('main (float x) => (float y) { a, b = Split(x) y = Neg(a) }');
    const [split, neg] = [...graph.nodes];
    expect(() => neg!.setOutput(1, graph.value('b'))).toThrow('"b" has a producer already');
    expect(() => split!.setOutput(2, graph.value('b'))).toThrow('"b" is another output already');
    split!.setOutput(1, undefined);
    expect(split!.outputs.length).toBe(1);
    expect(graph.value('b').producer).toBeUndefined();
  });

  describe('replaceOutput', () => {
    test('the new value takes the name and the type', () => {
      const graph = parse(
        'main (float x) => (float[2] y, float[2] y) { a = Neg(x) y = Identity(a) z = Abs(y) }',
      );
      const [y, a] = [graph.value('y'), graph.value('a')];
      expect(graph.replaceOutput(y, a)).toBe(true);
      expect(graph.outputs).toEqual([a, a]);
      expect(a.name).toBe('y');
      expect(a.type).toEqual(tensorType('float', [2]));
      expect(y.name).toBe('y_before');
      expect(y.producer!.label).toBe('y');
      expect([...y.users][0]!.opType).toBe('Abs');
    });

    test('refuses inputs, outputs and values of other scopes, and changes nothing', async () => {
      const graph = parse(`main (bool c, float x) => (float y, float b) {
        b = Neg(x)
        y = If(c) < then_branch = t () => (float n) { n = Neg(x) }, else_branch = e () => (float m) { m = Abs(x) } >
      }`);
      const before = await printGraph(graph);
      const inner = graph.value('y').producer!.graphAttribute('then_branch')!;
      for (const value of [graph.value('x'), graph.value('b'), inner.value('n')]) {
        expect(graph.replaceOutput(graph.value('y'), value)).toBe(false);
      }
      expect(await printGraph(graph)).toBe(before);
      expect(() => graph.replaceOutput(graph.value('x'), graph.value('b'))).toThrow(
        '"x" is no output',
      );
    });
  });
});

describe('order', () => {
  test('sorting is stable and moves as little as possible', () => {
    const graph = parse(
      'main (float x) => (float y) { a = Neg(x) b = Abs(x) c = Exp(x) y = Sum(a, b, c) }',
    );
    const last = graph.nodes.last!;
    const d = graph.addNode({ opType: 'Log', inputs: [graph.value('b')], outputs: ['d'] });
    last.setInput(3, d.output());
    graph.sort();
    expect(order(graph)).toBe('a b c d y');
    graph.nodes.first!.setInput(0, graph.value('c'));
    graph.sort();
    expect(order(graph)).toBe('b c a d y');
  });

  test('a node stands behind what its subgraphs use', () => {
    const graph = parse(`main (bool c, float x) => (float y) {
      y = If(c) < then_branch = t () => (float n) { n = Neg(late) }, else_branch = e () => (float m) { m = Abs(x) } >
      late = Exp(x)
    }`);
    expect(order(graph)).toBe('late y');
  });

  test('a cycle is refused by name, also one of a single node', () => {
    const graph = parse(chain);
    graph.value('a').producer!.setInput(0, graph.value('c'));
    expect(() => graph.sort()).toThrow(/4 nodes form a cycle or hang on one: Neg "a", Abs "b"/);
    expect(() => parse('main () => (float a) { a = Neg(a) }')).toThrow('1 nodes form a cycle');
  });

  test('a loop may remove the node it is at, the next ones, and insert around it', () => {
    const graph = parse(chain);
    const seen: string[] = [];
    for (const node of graph.nodes) {
      seen.push(node.opType);
      if (node.opType !== 'Abs') continue;
      graph.addNode({ opType: 'Before', inputs: [] }, { before: node });
      graph.addNode({ opType: 'After', inputs: [] }, { after: node });
      const x = graph.value('x');
      for (const name of ['b', 'c']) {
        const { producer } = graph.value(name);
        graph.value(name).replaceUses(x);
        graph.removeNode(producer!);
      }
    }
    expect(seen).toEqual(['Neg', 'Abs', 'Log']);
    expect(Array.from(graph.nodes, (node) => node.opType)).toEqual([
      'Neg',
      'Before',
      'After',
      'Log',
    ]);
  });
});

describe('attributes', () => {
  const node = parse('main () => (float y) { y = Op<i = 2, f = 0.5, s = "a", list = [1, 2]>() }')
    .nodes.first!;

  test('are read by type', () => {
    expect([node.int('i'), node.float('f'), node.string('s'), node.ints('list')]).toEqual([
      2,
      0.5,
      'a',
      [1, 2],
    ]);
    expect(node.int('none', 7)).toBe(7);
  });

  test('a wrong type or a missing attribute is an error that names both', () => {
    expect(() => node.float('i')).toThrow('attribute i of Op is of type int, not float');
    expect(() => node.int('none')).toThrow('Op has no attribute none');
  });
});

describe('clone', () => {
  const text = `main (bool c, float[2] x, float[2] d = {1, 2}) => (float[2] y) < float[2] w = {1, 2}, float[2] a, @a : ["SCALE_TENSOR": "w"] > {
    a = com.microsoft.Op<t = float[1] {1}>(x, w, d)
    y = If(c) < then_branch = t () => (float n) { n = Neg(a) }, else_branch = e () => (float m) { m = Abs(x) } >
  } <domain: "d", opset_import: ["" : 17]> F (x) => (y) { y = Neg(x) }`;

  test('is equal, shares the weights, and edits of it never reach the original', async () => {
    const model = parseModel(text);
    model.file = 'model.onnx';
    const copy = cloneModel(model);
    expect(await differenceOf(model, copy)).toBeUndefined();
    expect(copy.file).toBe('model.onnx');
    expect(copy.graph.value('w').initializer).toBe(model.graph.value('w').initializer);

    const { graph } = copy;
    const op = graph.value('a').producer!;
    op.setAttribute('t', 5);
    op.opType = 'Other';
    op.setInput(0, graph.value('d'));
    graph.value('w').initializer = Tensor.of('float', [2], [5, 6]);
    graph.value('y').producer!.graphAttribute('then_branch')!.nodes.first!.name = 'renamed';
    graph.value('a').rename('z');
    graph.inputs.pop();
    copy.functions[0]!.body.addNode({ opType: 'Neg', inputs: [] });
    copy.metadata.set('k', 'v');
    copy.opsets.set('', 18);
    expect(await differenceOf(model, parseModel(text))).toBeUndefined();
  });

  test('what an edit clears stays cleared', () => {
    const copy = cloneModel(cloneModel(parseModel(text)));
    const node = copy.graph.value('a').producer!;
    [node.domain, node.name, node.overload] = ['', '', ''];
    copy.graph.value('a').type = undefined;
    copy.graph.value('y').type = undefined;
    const { proto } = modelToProto(copy);
    const written = proto.graph!.node[0]!;
    expect([written.domain, written.name, written.overload]).toEqual(['', '', '']);
    expect(proto.graph!.valueInfo).toEqual([]);
    expect(proto.graph!.output[0]!.type).toBeUndefined();
  });
});

import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { PareError } from '../errors.js';
import { ModelProtoSchema } from '../onnx/schema/onnx_pb.js';
import { modelFromProto } from './from-proto.js';
import { parseModel } from './parse.js';

const branches = (then: string) =>
  `main (bool c, float x) => (float y) { [if] y = If(c) < then_branch = ${then}, else_branch = e () => (float m) { m = Abs(x) } > }`;

describe('what is no graph is refused by name', () => {
  test.each([
    [
      'main (float x) => (float y) { [n] y = Relu(z) }',
      'Relu uses "z", which is defined nowhere (node "n")',
    ],
    ['main (float x) => (float z) { y = Relu(x) }', 'the output "z" is made by no node'],
    ['main (float x, float x) => () {}', 'the name "x" is defined twice'],
    [
      'main (float x) => (float y) { y = Neg(x) [n] y = Abs(x) }',
      '"y" is defined twice (node "n")',
    ],
    ['main (float x) => (float x) { x = Neg(x) }', '"x" is defined twice'],
    ['main () => (float w) <float w = {1}> { w = Op() }', '"w" is defined twice'],
    ['main () => () <float w = {1}, float w = {2}> {}', '"w" is defined twice'],
    [
      'main () => () <sparse_tensor(float[2]) w = {float[1] {1}, int64[1] {0}}, float w = {2}> {}',
      '"w" is defined twice',
    ],
    ['main () => (float a) { a = Neg(b) b = Abs(a) }', '2 nodes form a cycle'],
    [branches('t () => (float n) { n = Neg(m) }'), 'Neg uses "m", which is defined nowhere'],
    [branches('t () => (float n) { }'), 'the output "n" is made by no node (node "if")'],
    [
      branches('t () => (float x) { }'),
      'the subgraph "t" returns "x", which belongs to the graph around it',
    ],
    [
      'main () => () {} <domain: "d", opset_import: ["" : 17]> F (x) => (y) { z = Neg(x) }',
      'the output "y" of function d:F is made by no node',
    ],
    [
      'main (float x) => () {} <domain: "d", opset_import: ["" : 17]> F () => (y) { y = Neg(x) }',
      'Neg uses "x", which is defined nowhere',
    ],
  ])('%s', (text, message) => {
    let error: unknown;
    try {
      parseModel(text);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(PareError);
    expect((error as PareError).code).toBe('invalid-model');
    expect((error as PareError).message).toContain(message);
  });

  test('a model without a graph', () => {
    expect(() => modelFromProto(create(ModelProtoSchema), () => expect.fail())).toThrow(
      'graph: the model holds no graph',
    );
  });
});

describe('what is read', () => {
  test('nodes in any order, values of the graphs around in subgraphs', () => {
    const { graph } = parseModel(`main (bool c, float x) => (float y) {
      y = If(c) < then_branch = t () => (float n) { n = Neg(a) }, else_branch = e () => (float m) { m = Abs(x) } >
      a = Exp(x)
    }`);
    expect(Array.from(graph.nodes, (node) => node.opType)).toEqual(['Exp', 'If']);
    const [inner] = graph.value('a').users;
    expect(inner!.graph!.parent).toBe(graph);
    expect(inner!.graph!.model).toBe(graph.model);
    expect(inner!.graph!.opset()).toBe(17);
  });

  test("'ai.onnx' is the standard domain, and a function has opsets of its own", () => {
    const model =
      parseModel(`<opset_import: ["ai.onnx" : 13, "d" : 1]> main (float x) => (float y) { y = ai.onnx.Neg(x) }
      <domain: "d", opset_import: ["" : 9]> F <a> (x) => (y) { y = Selu<alpha: float = @a>(x) }`);
    const node = model.graph.nodes.first!;
    expect([node.domain, node.op, model.graph.opset()]).toEqual(['', 'Neg', 13]);
    const [fn] = model.functions;
    expect([fn!.body.opset(), fn!.attributes]).toEqual([9, ['a']]);
    expect(fn!.body.nodes.first!.attributes.get('alpha')).toMatchObject({ value: 'a' });
  });

  test('an input with an initializer is no constant', () => {
    const { graph } = parseModel(
      'main (float d = {1}) => (float y) <float w = {2}> { y = Add(d, w) }',
    );
    expect([graph.value('d').isConstant, graph.value('w').isConstant]).toEqual([false, true]);
    expect(graph.nodes.first!.constantInput(0)).toBeUndefined();
    expect(graph.nodes.first!.constantInput(1)).toBe(graph.value('w').initializer);
  });

  test('an operator set is assumed where none is imported', () => {
    expect(parseModel('<opset_import: []> main () => () {}').opsets).toEqual(new Map([['', 1]]));
  });
});

/**
 * Small models with families made by hand, for the tests of this folder. Not part of the library's
 * interface.
 */
import { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';
import type { Carrier, Coupling, Family, Member } from './family.js';

/** x [N,inputs] -> first (Gemm) -> Relu -> second (Gemm) -> y [N,outputs]; the hidden width is the family. */
export function chain(
  first: readonly (readonly number[])[],
  second: readonly (readonly number[])[],
): Coupling & { readonly family: Family } {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const [inputs, hidden, outputs] = [first.length, second.length, second[0]!.length];
  const constant = (name: string, rows: readonly (readonly number[])[]) =>
    graph.addInitializer(name, Tensor.of('float', [rows.length, rows[0]!.length], rows.flat()));
  const bias = (name: string, width: number) =>
    graph.addInitializer(name, Tensor.of('float', [width], new Float32Array(width)));
  const x = graph.addInput('x', tensorType('float', ['N', inputs]));
  const w1 = constant('w1', first);
  const b1 = bias('b1', hidden);
  const one = graph.addNode({ opType: 'Gemm', name: 'one', inputs: [x, w1, b1], outputs: ['h'] });
  const relu = graph.addNode({ opType: 'Relu', inputs: [one.output()], outputs: ['r'] });
  const w2 = constant('w2', second);
  const two = graph.addNode({
    opType: 'Gemm',
    name: 'two',
    inputs: [relu.output(), w2, bias('b2', outputs)],
    outputs: ['y'],
  });
  two.output().type = tensorType('float', ['N', outputs]);
  graph.outputs.push(two.output());
  const family = makeFamily('one', hidden, {
    members: [
      [w1, 1, one, 'out'],
      [b1, 0, one, 'other'],
      [w2, 0, two, 'in'],
    ],
    carriers: [
      [one.output(), 1],
      [relu.output(), 1],
    ],
  });
  const dims = new Map<Value, readonly number[]>([
    [x, [1, inputs]],
    [one.output(), [1, hidden]],
    [relu.output(), [1, hidden]],
    [two.output(), [1, outputs]],
  ]);
  return { model, families: [family], frozen: [], dims, family };
}

/** A family whose units are the indices of its axes, one each. */
export function makeFamily(
  id: string,
  units: number,
  {
    members = [],
    carriers = [],
    structure = 'test',
    unitWidth = 1,
  }: {
    members?: readonly (readonly [Value, number, Node, Member['side']])[];
    carriers?: readonly (readonly [Value, number])[];
    structure?: string;
    unitWidth?: number;
  } = {},
): Family {
  const unitOf = Int32Array.from({ length: units }, (_, unit) => unit);
  return {
    id,
    units,
    kind: 'channels',
    members: members.map(([value, axis, node, side]) => ({ value, axis, unitOf, node, side })),
    carriers: carriers.map(([value, axis]): Carrier => ({ value, axis, unitOf })),
    norms: [],
    unitWidth,
    unitSize: new Float64Array(units).fill(1),
    structure,
  };
}

/** Numbers of all members, as criteria take them. */
export async function weightsOf({ members }: Family): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const { value } of members) weights.set(value.name, await value.constant!.floats());
  return weights;
}

/** Rows of standard normal numbers. */
export function normalRows(rows: number, columns: number, seed: number): number[][] {
  const random = createRandom(seed);
  return Array.from({ length: rows }, () => Array.from({ length: columns }, () => random.normal()));
}

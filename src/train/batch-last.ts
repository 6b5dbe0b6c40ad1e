/**
 * Moves parts of a model whose shapes are fixed to the layout with the batch last, where
 * src/ops/batch-last.ts says that it pays: between depthwise convolutions, with what lies around
 * them. Maps are transposed once where such a part begins and once where it ends. Changes no result
 * but for the order of sums. Knows no operator.
 */
import { Emitter } from '../graph/emitter.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { elementCount } from '../onnx/data-type.js';
import { type BatchLastForm, batchLastFormOf } from '../ops/batch-last.js';
import { fixedDims } from '../ops/fixed-dims.js';
import { expandNode } from './prepare.js';

/**
 * Elements that are transposed, by elements that go into what gains, up to which it pays: 1.2 ns
 * for one there and back, against 1.5 (stride 2) to 8 ns that a depthwise convolution and its
 * gradients save.
 */
const mostMoved = 2;

type Forms = ReadonlyMap<Node, BatchLastForm>;

/** @param keep names of values that stay as they are, since somebody asks for them */
export function useBatchLast({ graph }: Model, keep: ReadonlySet<string>): void {
  const forms = new Map<Node, BatchLastForm>();
  for (const node of graph.nodes) {
    const form = batchLastFormOf(node);
    if (form) forms.set(node, form);
  }
  for (const part of partsOf(forms)) {
    const borders = bordersOf(part, keep);
    const moved = [...borders.entering, ...borders.leaving].reduce(sizes, 0);
    const gaining = [...part].flatMap(([node, form]) => (form.gains ? mapsOf(node, form) : []));
    if (moved <= mostMoved * gaining.reduce(sizes, 0)) rewrite(graph, part, borders.leaving);
  }
}

const sizes = (total: number, value: Value) => total + elementCount(fixedDims(value) ?? []);

function mapsOf(node: Node, { maps }: BatchLastForm): Value[] {
  return maps.map((at) => node.input(at));
}

/** Nodes that hand maps to one another. */
function partsOf(forms: Forms): Forms[] {
  const parts: Map<Node, BatchLastForm>[] = [];
  const partOf = new Map<Node, Map<Node, BatchLastForm>>();
  for (const [node, form] of forms) {
    const before = mapsOf(node, form).map(({ producer }) => producer && partOf.get(producer));
    const joined = new Set(before.filter((part) => part !== undefined));
    const all = new Map([...[...joined].flatMap((part) => [...part]), [node, form] as const]);
    for (const part of joined) parts.splice(parts.indexOf(part), 1);
    parts.push(all);
    for (const member of all.keys()) partOf.set(member, all);
  }
  return parts;
}

/** The maps that come from outside of a part, and those that are used there. */
function bordersOf(part: Forms, keep: ReadonlySet<string>) {
  const [entering, leaving] = [new Set<Value>(), new Set<Value>()];
  for (const [node, form] of part) {
    for (const map of mapsOf(node, form)) {
      if (!map.producer || !part.has(map.producer)) entering.add(map);
    }
    const output = node.output();
    const isTaken = (user: Node) => {
      const other = part.get(user);
      return (
        other !== undefined &&
        user.inputs.every((input, at) => input !== output || other.maps.includes(at))
      );
    };
    if (output.isOutput || keep.has(output.name) || ![...output.users].every(isTaken)) {
      leaving.add(output);
    }
  }
  return { entering, leaving };
}

/** In the order of the part, which may have been joined of several: that of the graph. */
function rewrite(graph: Graph, part: Forms, leaving: ReadonlySet<Value>): void {
  const moved = new Map<Value, Value>();
  const inside: Value[] = [];
  for (const node of [...graph.nodes]) {
    const form = part.get(node);
    if (!form) continue;
    const output = node.output();
    const rank = output.dims!.length;
    const axes = Array.from({ length: rank }, (_, axis) => axis);
    const enter = (map: Value) => {
      const e = new Emitter(graph, { scope: `${map.name}/batch-last`, position: { before: node } });
      return e.transpose(map, [...axes.slice(1), 0]);
    };
    const maps = mapsOf(node, form).map((map) => {
      if (!moved.has(map)) moved.set(map, enter(map));
      return moved.get(map)!;
    });
    expandNode(node, (e) => {
      const result = form.write(e, maps);
      moved.set(output, result);
      if (leaving.has(output)) return [e.transpose(result, [rank - 1, ...axes.slice(0, -1)])];
      inside.push(output);
      return [];
    });
  }
  for (const value of inside) if (value.graph.find(value.name) === value) graph.removeValue(value);
}

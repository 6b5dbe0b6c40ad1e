/**
 * A model as a person would sketch it: operators in order of execution with the dims of their
 * weights, blocks that repeat folded into one. Constants and what depends on them alone are left
 * out. Reads no numbers.
 */
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { type Folded, foldRepeats } from './fold-repeats.js';
import { mainUse } from './size.js';

/** Plain JSON: an operator, or a block that comes `times` times in a row. */
export type SketchItem =
  | {
      readonly op: string;
      /** Dims of its weight, largest first where there are several; null without one. */
      readonly weight: readonly number[] | null;
      /** In a repeated block: the dims differ from one occurrence to the next. */
      readonly varies: boolean;
    }
  | { readonly times: number; readonly items: readonly SketchItem[] };

/** Nodes of the main graph; a node with subgraphs is one item. */
export function sketchOf(model: Model): SketchItem[] {
  const moving = new Set<Value>(model.graph.inputs.filter(({ initializer }) => !initializer));
  const nodes: Node[] = [];
  for (const node of model.graph.nodes) {
    const isMoving = node.inputs.some((value) => value && moving.has(value));
    if (!isMoving && node.subgraphs.length === 0) continue;
    for (const output of node.outputs) if (output) moving.add(output);
    nodes.push(node);
  }
  const weightOf = (node: Node) => weightDims(node, moving);
  return foldRepeats(nodes, ({ op }) => op).map((folded) => itemOf(folded, [], weightOf));
}

type WeightOf = (node: Node) => readonly number[] | null;

/** @param others what stands at the same place in the other occurrences of the blocks around */
function itemOf(folded: Folded<Node>, others: readonly Node[], weightOf: WeightOf): SketchItem {
  if ('item' in folded) {
    const weight = weightOf(folded.item);
    const varies = others.some((other) => String(weightOf(other)) !== String(weight));
    return { op: folded.item.op, weight, varies };
  }
  const { times, items, all } = folded;
  let at = 0;
  return {
    times,
    items: items.map((item) => {
      const place = at;
      at += lengthOf(item);
      return itemOf(
        item,
        all.slice(1).map((occurrence) => occurrence[place]!),
        weightOf,
      );
    }),
  };
}

function lengthOf(folded: Folded<Node>): number {
  return 'item' in folded ? 1 : folded.times * folded.all[0]!.length;
}

/** Dims of the largest weight of the node, also one behind nodes that only restore its numbers. */
function weightDims(node: Node, moving: ReadonlySet<Value>): readonly number[] | null {
  let largest: { readonly dims: readonly number[]; readonly bytes: number } | undefined;
  for (const value of node.inputs) {
    const found = value && !moving.has(value) ? constantBehind(value) : undefined;
    if (!found) continue;
    const { role } = mainUse(found.value, found.tensor);
    if (role !== 'weight' && role !== 'embedding') continue;
    const { dims, byteLength: bytes } = found.tensor;
    if (!largest || bytes > largest.bytes) largest = { dims, bytes };
  }
  return largest?.dims ?? null;
}

function constantBehind(value: Value) {
  const tensor = value.initializer ?? value.constant;
  if (tensor) return { value, tensor };
  const input = value.producer?.inputs[0];
  const inner = input?.initializer ?? input?.constant;
  return input && inner ? { value: input, tensor: inner } : undefined;
}

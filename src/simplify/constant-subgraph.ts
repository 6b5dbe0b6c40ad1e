/**
 * Finds the nodes that compute the same in every run: deterministic operators whose inputs are all
 * constant, chains of them included; and groups them into sessions. Looks at the graph only; runs
 * and changes nothing.
 */

import { inFunctionBody } from '../graph/constant.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import { isDeterministic, traitsOf } from '../ops/traits.js';

export interface ConstantNodes {
  /** In an order in which they can be run; outer graphs before subgraphs. */
  readonly nodes: readonly Node[];
  /** Nodes with constant inputs that cannot be computed ahead, with the reason. */
  readonly refused: ReadonlyMap<Node, string>;
}

/** Outside of functions, whose values may differ from call to call. */
export function findConstantNodes(model: Model, skip: ReadonlyMap<Node, string>): ConstantNodes {
  const nodes: Node[] = [];
  const refused = new Map<Node, string>();
  const made = new Set<Value>();
  for (const graph of model.graph.allGraphs()) {
    if (inFunctionBody(graph)) continue;
    for (const node of graph.nodes) {
      if (node.inputs.length === 0 || skip.has(node)) continue;
      if (!node.inputs.every((value) => !value || made.has(value) || value.constant)) continue;
      if (traitsOf(node.op).quantization) continue;
      const why = whyNotFold(node);
      if (why) {
        refused.set(node, why);
        continue;
      }
      nodes.push(node);
      for (const output of node.outputs) if (output) made.add(output);
    }
  }
  return { nodes, refused };
}

function whyNotFold(node: Node): string | undefined {
  if (node.subgraphs.length > 0) return 'it has subgraphs';
  if (!isDeterministic(node)) {
    return node.domain === ''
      ? 'it is random'
      : `operators of ${node.domain} may change from run to run`;
  }
  return widensStorage(node) ? 'it widens a weight that is stored in fewer bits' : undefined;
}

/** Below this a wider copy costs nothing. */
const smallElements = 1024;

/** A weight that is kept in float16 or int8 and widened on use is small on purpose. */
function widensStorage(node: Node): boolean {
  const from = node.constantInput(0);
  if (!traitsOf(node.op).widens || !from || from.size < smallElements) return false;
  const { bits, kind } = dataTypes[from.dataType];
  return bits <= 16 && (kind === 'float' || (bits <= 8 && kind !== 'bool'));
}

/** Nodes that hang together, in groups whose constants have at most this many bytes if they can. */
export function batchesOf(nodes: readonly Node[], sessionBytes: number): Node[][] {
  const parents = new Map<Node, Node>(nodes.map((node) => [node, node]));
  const rootOf = (node: Node): Node => {
    let root = node;
    while (parents.get(root) !== root) root = parents.get(root)!;
    for (let at = node; at !== root; ) {
      const next = parents.get(at)!;
      parents.set(at, root);
      at = next;
    }
    return root;
  };
  for (const node of nodes) {
    for (const input of node.inputs) {
      const producer = input?.producer;
      if (producer && parents.has(producer)) parents.set(rootOf(producer), rootOf(node));
    }
  }
  const groups = groupBy(nodes, rootOf);
  const batchOf = new Map<Node, number>();
  let batches = 0;
  let bytes = Number.POSITIVE_INFINITY;
  for (const [root, group] of groups) {
    const constants = new Set(group.flatMap((node) => node.inputs.map((v) => v?.constant)));
    let size = 0;
    for (const tensor of constants) size += tensor?.byteLength ?? 0;
    bytes += size;
    if (bytes > sessionBytes) {
      batches++;
      bytes = size;
    }
    batchOf.set(root, batches);
  }
  return [...groupBy(nodes, (node) => batchOf.get(rootOf(node))).values()];
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

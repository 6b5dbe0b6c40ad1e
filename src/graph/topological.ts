/**
 * Stable topological order: among the nodes that are ready, the one that stood first goes first,
 * so that a sorted graph stays as it is and edits move as little as possible.
 */
import { PareError } from '../errors.js';
import type { Graph } from './graph.js';
import type { Node } from './node.js';

/** Sorts the nodes of one graph (not of its subgraphs). Throws `invalid-model` on a cycle. */
export function sortNodes(graph: Graph): void {
  const nodes = [...graph.nodes];
  const position = new Map(nodes.map((node, index) => [node, index]));
  const followers: number[][] = nodes.map(() => []);
  const waiting = new Int32Array(nodes.length);
  let sorted = true;
  nodes.forEach((node, index) => {
    for (const producer of producersOf(node, graph)) {
      const before = position.get(producer)!;
      followers[before]!.push(index);
      waiting[index] = waiting[index]! + 1;
      if (before >= index) sorted = false;
    }
  });
  if (sorted) return;
  const ready = new MinHeap();
  waiting.forEach((count, index) => {
    if (count === 0) ready.push(index);
  });
  const order: Node[] = [];
  for (let at = ready.pop(); at !== undefined; at = ready.pop()) {
    order.push(nodes[at]!);
    for (const follower of followers[at]!) {
      waiting[follower] = waiting[follower]! - 1;
      if (waiting[follower] === 0) ready.push(follower);
    }
  }
  if (order.length < nodes.length) {
    const stuck = nodes.filter((_, index) => waiting[index]! > 0);
    throw new PareError(
      'invalid-model',
      `graph: ${stuck.length} nodes form a cycle or hang on one: ${stuck
        .slice(0, 5)
        .map((node) => node.toString())
        .join(', ')}`,
      { node: stuck[0]!.label },
    );
  }
  graph.nodes.reorder(order);
}

/** Nodes of `graph` that must run before `node`: what it takes, also through its subgraphs. */
export function producersOf(node: Node, graph: Graph): Set<Node> {
  const producers = new Set<Node>();
  const collect = (user: Node) => {
    for (const input of user.inputs) {
      if (input?.producer && input.graph === graph) producers.add(input.producer);
    }
    for (const inner of user.subgraphs) {
      for (const node of inner.nodes) collect(node);
      for (const output of inner.outputs) {
        if (output.producer && output.graph === graph) producers.add(output.producer);
      }
    }
  };
  collect(node);
  return producers;
}

class MinHeap {
  readonly #items: number[] = [];

  push(item: number): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]! <= item) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]! < items[child]!) child++;
      if (items[child]! >= last) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return top;
  }
}

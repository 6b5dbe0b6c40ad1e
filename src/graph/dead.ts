/**
 * Removes what no graph output depends on: nodes without used outputs and initializers without
 * users. Graph inputs stay, they are the model's interface.
 */
import type { Graph } from './graph.js';
import type { Value } from './value.js';

/**
 * Cleans this graph and the subgraphs inside it; returns how many nodes and initializers left.
 *
 * @param kept values besides the outputs of the graph that somebody will read
 */
export function removeDead(
  graph: Graph,
  kept: ReadonlySet<Value> = new Set(),
): { nodes: number; initializers: number } {
  const isDead = (value: Value) => value.isUnused && !kept.has(value);
  const removed = { nodes: 0, initializers: 0 };
  for (const node of [...graph.nodes].reverse()) {
    if (node.outputs.every((output) => !output || isDead(output))) {
      graph.removeNode(node);
      removed.nodes++;
      continue;
    }
    for (const inner of node.subgraphs) {
      const { nodes, initializers } = removeDead(inner, kept);
      removed.nodes += nodes;
      removed.initializers += initializers;
    }
  }
  for (const value of graph.initializers) {
    if (isDead(value) && !value.isInput) {
      graph.removeValue(value);
      removed.initializers++;
    }
  }
  return removed;
}

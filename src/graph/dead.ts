/**
 * Removes what no graph output depends on: nodes without used outputs and initializers without
 * users. Graph inputs stay, they are the model's interface.
 */
import type { Graph } from './graph.js';

/** Cleans this graph and the subgraphs inside it; returns how many nodes and initializers left. */
export function removeDead(graph: Graph): { nodes: number; initializers: number } {
  const removed = { nodes: 0, initializers: 0 };
  for (const node of [...graph.nodes].reverse()) {
    if (node.outputs.every((output) => !output || output.isUnused)) {
      graph.removeNode(node);
      removed.nodes++;
      continue;
    }
    for (const inner of node.subgraphs) {
      const { nodes, initializers } = removeDead(inner);
      removed.nodes += nodes;
      removed.initializers += initializers;
    }
  }
  for (const value of graph.initializers) {
    if (value.isUnused && !value.isInput) {
      graph.removeValue(value);
      removed.initializers++;
    }
  }
  return removed;
}

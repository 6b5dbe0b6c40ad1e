/**
 * Float nodes that a runtime joins with quantized ones into integer kernels: those fed by a
 * DequantizeLinear or feeding a QuantizeLinear, and the chain that rescales an integer product.
 * Casts around them would leave the weights to be dequantized in every run.
 */
import type { Graph } from '../../graph/graph.js';
import type { Node } from '../../graph/node.js';
import { integerBorders, rescalers } from '../../ops/half.js';

/** By node of this graph, why it belongs to quantized ones. */
export function integerNeighbors(graph: Graph): Map<Node, string> {
  const reasons = new Map<Node, string>();
  for (const node of graph.nodes) {
    if (integerBorders.has(node.op)) continue;
    const makers = node.inputs.flatMap((input) => input?.producer ?? []);
    const users = node.outputs.flatMap((output) => (output ? [...output.users] : []));
    const border = [...makers, ...users].find(({ op }) => integerBorders.has(op));
    const isRescaling = (other: Node) => rescalers.has(other.op) && reasons.has(other);
    if (border) {
      reasons.set(node, `the runtime joins it with ${border.op} into an integer kernel`);
    } else if (rescalers.has(node.op) && makers.some(isRescaling)) {
      reasons.set(node, 'it rescales the result of an integer kernel');
    }
  }
  return reasons;
}

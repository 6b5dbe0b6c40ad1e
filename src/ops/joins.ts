/**
 * Operators that add two values of one shape: where the branch of a residual network joins its
 * stream. Source: the ONNX operator specification.
 */
import type { Node } from '../graph/node.js';

const joins: ReadonlySet<string> = new Set(['Add', 'Sum']);

/** The node adds exactly two values, element by element. */
export function isJoin(node: Node): boolean {
  return joins.has(node.op) && node.inputs.length === 2 && node.inputs.every(Boolean);
}

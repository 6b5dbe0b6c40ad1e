/**
 * Gradients of maps that are linear and act on each axis by itself, as resizing and reflecting do:
 * the product with the transposed matrix of each axis.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import type { GradientEmitter } from './rule.js';

export interface AxisMatrix {
  readonly axis: number;
  /** [dim of the input, dim of the output]: row i is the response to a one at element i. */
  readonly matrix: Value;
}

/** The gradient of the node's input 0, of which output 0 is the product with these matrices. */
export function matricesAlong(
  g: GradientEmitter,
  node: Node,
  matrices: readonly AxisMatrix[],
): Value {
  const rank = g.rankOf(node.input(0));
  return matrices.reduce((value, { axis, matrix }) => {
    if (axis === rank - 1) return g.op('MatMul', [value, g.transposeLast(matrix, 2)]);
    if (axis === rank - 2) return g.op('MatMul', [matrix, value]);
    const perm = Array.from({ length: rank }, (_, at) => at);
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
    const moved = g.transpose(value, perm);
    return g.transpose(g.op('MatMul', [moved, g.transposeLast(matrix, 2)]), perm);
  }, g.grad());
}

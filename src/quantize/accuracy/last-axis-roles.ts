/**
 * Which operators a factor per channel passes, where channels are on the last axis, and which can
 * take it in: what makes the input of a MatMul. Says nothing about linear operators, which take it
 * into their weights (simplify/linear-operators.ts).
 */
import type { Node } from '../../graph/node.js';

export type LastAxisRole =
  /** Multiplies by constants along the last axis, or adds them: all take the factor, and it ends. */
  | { readonly kind: 'affine'; constants(node: Node): readonly number[] | { reason: string } }
  /** One constant input is a factor: it takes the factor, and it ends. */
  | { readonly kind: 'product' }
  /** One constant input is added: it takes the factor, and so must the other input. */
  | { readonly kind: 'sum' }
  /** f(s x) = s f(x) for s > 0, element by element. */
  | { readonly kind: 'homogeneous' }
  /** Keeps the order of elements: passes where the last axis stays as it is. */
  | { readonly kind: 'reshape' };

const normalization: LastAxisRole = Object.freeze({
  kind: 'affine',
  constants: (node: Node) => {
    const rank = node.inputs[0]?.dims?.length;
    const axis = node.int('axis', -1);
    return axis === -1 || axis + 1 === rank
      ? [1, 2]
      : { reason: `${node.op} ${node.label} normalizes over more than the last axis` };
  },
});
const homogeneous: LastAxisRole = Object.freeze({ kind: 'homogeneous' });
const reshape: LastAxisRole = Object.freeze({ kind: 'reshape' });

/** By operator; what is not listed stops the path. */
export const lastAxisRoles: Readonly<Record<string, LastAxisRole>> = Object.freeze({
  LayerNormalization: normalization,
  RMSNormalization: normalization,
  SimplifiedLayerNormalization: normalization,
  Mul: { kind: 'product' },
  Add: { kind: 'sum' },
  Sub: { kind: 'sum' },
  Relu: homogeneous,
  LeakyRelu: homogeneous,
  Identity: reshape,
  Flatten: reshape,
  Reshape: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
});

export function lastAxisRole(node: Node): LastAxisRole | undefined {
  // Before opset 7 attributes chose the broadcasting.
  if (node.has('broadcast')) return undefined;
  return Object.hasOwn(lastAxisRoles, node.op) ? lastAxisRoles[node.op] : undefined;
}

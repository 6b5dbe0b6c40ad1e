/**
 * Recognizes RMS normalization written out: x * 1/sqrt(mean(x^2) + epsilon) * gamma, as exporters
 * of language models do. Tells where epsilon and gamma are; changes nothing.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';

export interface ConstantPlace {
  readonly node: Node;
  readonly input: number;
}

export interface RmsNorm {
  readonly epsilon: ConstantPlace;
  readonly gamma: ConstantPlace;
}

/** The normalization that this mean is part of. */
export function findRmsNorm(mean: Node): RmsNorm | undefined {
  if (!isSquare(mean.inputs[0]?.producer)) return undefined;
  const x = mean.inputs[0]!.producer!.inputs[0];
  const add = onlyUser(mean);
  const epsilon = add?.op === 'Add' ? constantInput(add) : undefined;
  const root = add && onlyUser(add);
  if (!epsilon || epsilon.node.constantInput(epsilon.input)!.size !== 1 || root?.op !== 'Sqrt') {
    return undefined;
  }
  const product = quotient(root, x);
  if (!product) return undefined;
  const scaled = onlyUser(product);
  const gamma = scaled && gammaOf(scaled);
  return gamma && { epsilon, gamma };
}

/** x / root, as one Div or as the product with 1 / root. */
function quotient(root: Node, x: Value | undefined): Node | undefined {
  const next = onlyUser(root);
  if (next?.op === 'Div' && next.inputs[0] === x) return next;
  const isInverse =
    next?.op === 'Reciprocal' || (next?.op === 'Div' && next.constantInput(0)?.size === 1);
  const product = isInverse ? onlyUser(next!) : undefined;
  return product?.op === 'Mul' && product.inputs.includes(x) ? product : undefined;
}

/** The Mul by a constant, a Cast in between. */
function gammaOf(node: Node): ConstantPlace | undefined {
  if (node.op === 'Mul') return constantInput(node);
  const next = node.op === 'Cast' ? onlyUser(node) : undefined;
  return next?.op === 'Mul' ? constantInput(next) : undefined;
}

function isSquare(node: Node | undefined): boolean {
  if (node?.op === 'Mul') return node.inputs[0] === node.inputs[1];
  // An exponent other than 2 is no root mean square, but whoever wrote Sqrt behind it means 2.
  return node?.op === 'Pow' && node.constantInput(1)?.size === 1;
}

function constantInput(node: Node): ConstantPlace | undefined {
  const input = node.inputs.findIndex((value) => value?.constant !== undefined);
  return input < 0 ? undefined : { node, input };
}

function onlyUser(node: Node): Node | undefined {
  return node.outputs[0]?.onlyUse?.node;
}

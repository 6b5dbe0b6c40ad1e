/**
 * Removes arithmetic that changes no number: plus and minus 0, times, divided by and to the power
 * of 1, for constants of one element. (x + 0 turns -0 into 0, which is equal.) A vector of zeros
 * or ones is a bias or a scale: training would change it, and runtimes look for it when they fuse
 * a normalization.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { constantNumbers, knownDims } from './known.js';
import { definePassThrough, type Verdict } from './pass-through.js';

export const removeArithmetic = definePassThrough({
  name: 'remove-arithmetic',
  summary: 'Removes additions of 0 and multiplications by 1.',
  rules: {
    Add: async (node) => (await neutral(node, 1, 0)) ?? (await neutral(node, 0, 0)),
    Sub: (node) => neutral(node, 1, 0),
    Mul: async (node) => (await neutral(node, 1, 1)) ?? (await neutral(node, 0, 1)),
    Div: (node) => neutral(node, 1, 1),
    Pow: (node) => neutral(node, 1, 1),
  },
});

/** The input beside the constant at `index` when that holds nothing but `number`. */
async function neutral(node: Node, index: number, number: number): Promise<Verdict> {
  // Before opset 7 attributes chose the broadcasting.
  if (node.has('axis') || node.has('broadcast')) return undefined;
  const constant = node.constantInput(index);
  const other = 1 - index;
  if (constant?.size !== 1 || !fitsInto(constant.dims.length, node.input(other))) return undefined;
  const numbers = await constantNumbers(node, index);
  return numbers?.[0] === number ? other : undefined;
}

/** A constant [1, 1] makes a matrix of a vector. */
function fitsInto(rank: number, value: Value): boolean {
  return rank === 0 || rank <= (knownDims(value)?.length ?? 0);
}

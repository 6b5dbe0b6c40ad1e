/**
 * Removes arithmetic that changes no number: plus and minus 0, times, divided by and to the power
 * of 1, where broadcasting cannot enlarge the result. (x + 0 turns -0 into 0, which is equal.)
 */
import type { Node } from '../graph/node.js';
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
  if (!constant || !fitsInto(constant.dims, node, other)) return undefined;
  const numbers = await constantNumbers(node, index);
  return numbers && numbers.length > 0 && numbers.every((n) => n === number) ? other : undefined;
}

function fitsInto(dims: readonly number[], node: Node, index: number): boolean {
  if (dims.length === 0) return true;
  const into = knownDims(node.input(index));
  const offset = (into?.length ?? 0) - dims.length;
  if (!into || offset < 0) return false;
  return dims.every((dim, axis) => dim === 1 || dim === into[offset + axis]);
}

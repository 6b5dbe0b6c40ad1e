/**
 * Opset 7: NumPy's broadcasting takes the place of the attributes `broadcast` and `axis`, which
 * placed the second operand at any axis of the first. It now has to be aligned at the end, so
 * dims of 1 are put behind it.
 */

import { addConstant } from '../../constant.js';
import type { Node } from '../../node.js';
import type { Value } from '../../value.js';
import {
  type Conversion,
  cannotConvert,
  dropIfUnused,
  insertBefore,
  rankUnknown,
  rowsFor,
} from '../conversion.js';

const binary = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'And', 'Or', 'Xor', 'Equal', 'Greater', 'Less'];

export const broadcasting: readonly Conversion[] = [
  ...rowsFor(binary, {
    since: 7,
    reads: ['axis', 'broadcast'],
    needs: 'rank',
    convert(node) {
      const axis =
        node.int('broadcast', 0) !== 0 && node.has('axis') ? node.int('axis') : undefined;
      const had = node.has('broadcast') || node.has('axis');
      node.removeAttribute('broadcast');
      node.removeAttribute('axis');
      if (axis === undefined) return had ? 'broadcast left out' : undefined;
      const [rank, rankB] = [rankOf(node, 0), rankOf(node, 1)];
      const behind = rank - (axis < 0 ? axis + rank : axis) - rankB;
      if (behind < 0)
        throw cannotConvert(node, `axis ${axis} does not fit ranks ${rank}, ${rankB}`);
      appendOnes(node, 1, rankB, behind);
      return `broadcast at axis ${axis} became dims of 1`;
    },
  }),
  {
    op: 'PRelu',
    since: 7,
    needs: 'rank',
    convert(node) {
      const slope = node.input(1);
      const dims = slope.dims;
      if (!dims) throw rankUnknown(node, slope);
      // One slope for all reads the same; one per channel stood at axis 1.
      if (dims.length !== 1 || dims[0] === 1) return undefined;
      const behind = rankOf(node, 0) - 2;
      if (behind <= 0) return undefined;
      appendOnes(node, 1, 1, behind);
      return 'the slopes of the channels got dims of 1';
    },
  },
];

function rankOf(node: Node, index: number): number {
  const value: Value = node.input(index);
  if (!value.dims) throw rankUnknown(node, value);
  return value.dims.length;
}

/** Puts `count` dims of 1 behind those of an input. */
function appendOnes(node: Node, index: number, rank: number, count: number): void {
  if (count === 0) return;
  const value = node.input(index);
  const tensor = value.isConstant ? value.initializer : undefined;
  const ones = Array.from({ length: count }, () => 1);
  if (tensor) {
    const reshaped = tensor.reshape([...tensor.dims, ...ones]);
    node.setInput(index, addConstant(node, value.name, reshaped));
    dropIfUnused(value);
    return;
  }
  const axes = ones.map((_, at) => rank + at);
  node.setInput(index, insertBefore(node, 'Unsqueeze', [value], { axes }));
}

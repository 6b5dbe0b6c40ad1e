/**
 * Removes Reshape, Flatten, Squeeze and Unsqueeze that leave the dims as they are, symbolic dims
 * included where they can be told.
 */
import type { Node } from '../graph/node.js';
import type { Dim } from '../graph/value-type.js';
import { knownDims, listOf, staticDims } from './known.js';
import { definePassThrough } from './pass-through.js';

export const removeReshape = definePassThrough({
  name: 'remove-reshape',
  summary: 'Removes Reshape, Flatten, Squeeze and Unsqueeze that change no dim.',
  rules: {
    Reshape: async (node) => ((await reshapesToSame(node)) || keepsDims(node) ? 0 : undefined),
    Flatten: (node) => {
      const dims = knownDims(node.input(0));
      const axis = node.int('axis', 1);
      return dims?.length === 2 && (axis === 1 || axis === -1) ? 0 : undefined;
    },
    Squeeze: async (node) => {
      const axes = await listOf(node, 'axes', 1);
      const dims = staticDims(node.input(0));
      const all = axes === 'absent' || axes?.length === 0;
      return all && dims && !dims.includes(1) ? 0 : undefined;
    },
    Unsqueeze: async (node) => {
      const axes = await listOf(node, 'axes', 1);
      return axes !== 'absent' && axes?.length === 0 ? 0 : undefined;
    },
  },
});

/** The target shape names the dims of the input; one entry may be -1, which follows. */
async function reshapesToSame(node: Node): Promise<boolean> {
  const target = await listOf(node, 'shape', 1);
  const dims = knownDims(node.input(0));
  if (target === undefined || target === 'absent' || dims?.length !== target.length) return false;
  const copiesZero = node.int('allowzero', 0) === 0;
  const open = target.filter(
    (entry, axis) => !((entry === 0 && copiesZero) || entry === dims[axis]),
  );
  return open.length === 0 || (open.length === 1 && open[0] === -1);
}

/** Equal element counts: when all dims but one are equal, so is the last. */
function keepsDims(node: Node): boolean {
  const before = knownDims(node.input(0));
  const after = knownDims(node.output());
  if (!before || before.length !== after?.length) return false;
  const open = before.filter((dim, axis) => dim === undefined || dim !== after[axis]);
  if (open.length === 0) return true;
  const differs = before.some(
    (dim, axis) => isNumber(dim) && isNumber(after[axis]) && dim !== after[axis],
  );
  // With a dim of zero the counts agree whatever the other dims are.
  const noZero = before.every((dim, axis) =>
    dim === after[axis] ? isNumber(dim) && dim > 0 : true,
  );
  return open.length === 1 && !differs && noZero;
}

function isNumber(dim: Dim): dim is number {
  return typeof dim === 'number';
}

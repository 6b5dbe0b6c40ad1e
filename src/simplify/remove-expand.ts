/** Removes Expand and Tile that repeat nothing. */
import type { Node } from '../graph/node.js';
import { constantNumbers, knownDims, staticDims } from './known.js';
import { definePassThrough } from './pass-through.js';

export const removeExpand = definePassThrough({
  name: 'remove-expand',
  summary: 'Removes Expand and Tile nodes that repeat nothing.',
  rules: {
    Expand: async (node) => ((await expandsNothing(node)) ? 0 : undefined),
    Tile: async (node) => {
      // Before opset 6 the repeats are two inputs, tiles and axis.
      if ((node.graph?.opset() ?? 6) < 6) return undefined;
      const repeats = await constantNumbers(node, 1);
      return repeats?.every((count) => count === 1) ? 0 : undefined;
    },
  },
});

async function expandsNothing(node: Node): Promise<boolean> {
  const dims = knownDims(node.input(0));
  const shape = await constantNumbers(node, 1);
  if (shape) {
    if (shape.length === 0) return true;
    const offset = (dims?.length ?? 0) - shape.length;
    return (
      dims !== undefined &&
      offset >= 0 &&
      shape.every((size, axis) => size === 1 || size === dims[offset + axis])
    );
  }
  const before = staticDims(node.input(0));
  const after = staticDims(node.output());
  return (
    before !== undefined &&
    before.length === after?.length &&
    before.every((dim, axis) => dim === after[axis])
  );
}

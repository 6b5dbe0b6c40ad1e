/** Removes Slice that takes everything: from the beginning to the end in steps of one. */
import type { Node } from '../graph/node.js';
import { knownDims, listOf } from './known.js';
import { definePassThrough } from './pass-through.js';

/** Exporters write INT32_MAX or INT64_MAX for "to the end". No dim comes near it. */
const theEnd = 2 ** 31 - 1;

export const removeSlice = definePassThrough({
  name: 'remove-slice',
  summary: 'Removes Slice nodes that take everything.',
  rules: { Slice: async (node) => ((await takesAll(node)) ? 0 : undefined) },
});

async function takesAll(node: Node): Promise<boolean> {
  const starts = await listOf(node, 'starts', 1);
  const ends = await listOf(node, 'ends', 2);
  const axes = await listOf(node, 'axes', 3);
  const steps = await listOf(node, 'steps', 4);
  if (!Array.isArray(starts) || !Array.isArray(ends) || !axes || !steps) return false;
  if (steps !== 'absent' && steps.some((step) => step !== 1)) return false;
  const dims = knownDims(node.input(0));
  return starts.every((start, i) => {
    const axis = axes === 'absent' ? i : axes[i]!;
    const dim = dims?.at(axis);
    const end = ends[i]!;
    const known = typeof dim === 'number' ? dim : undefined;
    const fromBegin = start === 0 || (known !== undefined && start <= -known);
    return fromBegin && (end >= theEnd || (known !== undefined && end >= known));
  });
}

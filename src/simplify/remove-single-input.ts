/**
 * Removes operators over a list that has one entry: Concat, Sum, Mean, Max and Min of one input,
 * Split into one output.
 */
import type { Node } from '../graph/node.js';
import { definePassThrough, type Verdict } from './pass-through.js';

const single = (node: Node): Verdict => (node.inputs.length === 1 ? 0 : undefined);

export const removeSingleInput = definePassThrough({
  name: 'remove-single-input',
  summary: 'Removes Concat, Sum, Mean, Max and Min of one input and Split into one output.',
  rules: {
    Concat: single,
    Sum: single,
    Mean: single,
    Max: single,
    Min: single,
    Split: (node) => (node.outputs.length === 1 ? 0 : undefined),
  },
});

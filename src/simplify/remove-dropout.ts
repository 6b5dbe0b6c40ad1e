/**
 * Removes Dropout outside of training, where it hands its input on. Training mode is an attribute
 * before opset 7, absent from 7 to 11, and an input since 12.
 */
import type { Node } from '../graph/node.js';
import { constantNumbers } from './known.js';
import { definePassThrough, type Verdict } from './pass-through.js';

export const removeDropout = definePassThrough({
  name: 'remove-dropout',
  summary: 'Removes Dropout nodes that do nothing in inference.',
  rules: {
    Dropout: async (node): Promise<Verdict> => {
      const mask = node.outputs[1];
      if (mask && !mask.isUnused) return { reason: 'its mask is used' };
      const training = await isTraining(node);
      if (training === undefined) return { reason: 'training_mode is computed' };
      return training ? { reason: 'it is in training mode' } : 0;
    },
  },
});

async function isTraining(node: Node): Promise<boolean | undefined> {
  const opset = node.graph?.opset() ?? 7;
  if (opset < 7) return node.int('is_test', 0) === 0;
  if (!node.inputs[2]) return false;
  const mode = await constantNumbers(node, 2);
  return mode && mode[0] !== 0;
}

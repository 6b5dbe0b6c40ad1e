/** Removes Pad that adds and cuts nothing, whatever its mode. */
import { listOf } from './known.js';
import { definePassThrough } from './pass-through.js';

export const removePad = definePassThrough({
  name: 'remove-pad',
  summary: 'Removes Pad nodes whose pads are all zero.',
  rules: {
    Pad: async (node) => {
      // Opset 1 called the attribute "paddings"; such a node has no list here and stays.
      const pads = await listOf(node, 'pads', 1);
      return Array.isArray(pads) && pads.every((pad) => pad === 0) ? 0 : undefined;
    },
  },
});

/** Removes Transpose that leaves every axis at its place. */
import { knownDims } from './known.js';
import { definePassThrough } from './pass-through.js';

export const removeTranspose = definePassThrough({
  name: 'remove-transpose',
  summary: 'Removes Transpose nodes that move no axis.',
  rules: {
    Transpose: (node) => {
      if (node.attributes.get('perm')?.type === 'ints') {
        return node.ints('perm').every((from, axis) => from === axis) ? 0 : undefined;
      }
      if (node.has('perm')) return undefined;
      // The default reverses the axes, which means nothing below rank two.
      const dims = knownDims(node.input(0));
      return dims && dims.length < 2 ? 0 : undefined;
    },
  },
});

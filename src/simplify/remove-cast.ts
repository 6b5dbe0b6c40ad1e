/**
 * Removes Cast and CastLike to the type that the input already has. Casts there and back again
 * stay: the type in between may have rounded.
 */
import { dataTypeFromCode } from '../onnx/data-type.js';
import { knownDataType } from './known.js';
import { definePassThrough } from './pass-through.js';

export const removeCast = definePassThrough({
  name: 'remove-cast',
  summary: 'Removes casts to the type that a value has.',
  rules: {
    Cast: (node) => {
      if (node.attributes.get('to')?.type !== 'int') return undefined;
      const from = knownDataType(node.input(0));
      return from !== undefined && from === dataTypeFromCode(node.int('to')) ? 0 : undefined;
    },
    CastLike: (node) => {
      const from = knownDataType(node.input(0));
      return from !== undefined && from === knownDataType(node.input(1)) ? 0 : undefined;
    },
  },
});

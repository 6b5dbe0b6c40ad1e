/** Operators and modes that got another name, or a mode whose old meaning is no longer the default. */

import { dataTypes } from '../../../onnx/data-type.js';
import { type Conversion, cannotConvert } from '../conversion.js';
import { elementTypeOf } from '../element-type.js';

const gridModes = new Map([
  ['bilinear', 'linear'],
  ['bicubic', 'cubic'],
]);

export const renamed: readonly Conversion[] = [
  {
    op: 'DynamicSlice',
    since: 10,
    convert(node) {
      node.opType = 'Slice';
      return 'is called Slice';
    },
  },
  {
    op: 'Scatter',
    since: 11,
    convert(node) {
      node.opType = 'ScatterElements';
      return 'is called ScatterElements';
    },
  },
  {
    op: 'RoiAlign',
    since: 16,
    convert(node) {
      // The pixel shift of "half_pixel" is new, and the default.
      node.setAttribute('coordinate_transformation_mode', 'output_half_pixel');
      return 'coordinates of output_half_pixel are written out';
    },
  },
  {
    op: 'GridSample',
    since: 20,
    reads: ['mode'],
    convert(node) {
      // The default was called "bilinear" and is now called "linear".
      const mode = node.has('mode') ? gridModes.get(node.string('mode')) : undefined;
      if (mode === undefined) return undefined;
      node.setAttribute('mode', mode);
      return `the mode is called ${mode}`;
    },
  },
  {
    op: 'Erf',
    since: 13,
    convert(node) {
      const dataType = elementTypeOf(node.input(0));
      if (dataType === undefined || dataTypes[dataType].kind === 'float') return undefined;
      throw cannotConvert(node, `it takes ${dataType}, and since opset 13 float types only`);
    },
  },
];

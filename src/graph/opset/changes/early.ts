/**
 * Changes up to opset 6: lists that became inputs, types of attributes, defaults. Models this old
 * are rare; what needs more than its own attributes is refused.
 */
import { dataTypes } from '../../../onnx/data-type.js';
import { Tensor } from '../../../onnx/tensor.js';
import { floatAttribute } from '../../attribute.js';
import { addConstant } from '../../constant.js';
import type { Node } from '../../node.js';
import {
  type Conversion,
  cannotConvert,
  listToInput,
  rankUnknown,
  rowsFor,
} from '../conversion.js';

export const earlyChanges: readonly Conversion[] = [
  {
    op: 'Concat',
    since: 4,
    convert(node) {
      if (node.has('axis')) return undefined;
      node.setAttribute('axis', 1);
      return 'axis 1 is written out';
    },
  },
  ...rowsFor(['LpPool', 'GlobalLpPool'], {
    since: 2,
    reads: ['p'],
    convert(node) {
      if (!node.has('p')) return undefined;
      const p = node.float('p');
      if (!Number.isInteger(p)) throw cannotConvert(node, `p is ${p}, no whole number`);
      node.setAttribute('p', p);
      return 'p became an integer';
    },
  }),
  {
    op: 'Pad',
    since: 2,
    convert(node) {
      const paddings = node.attributes.get('paddings');
      if (!paddings) return undefined;
      node.setAttribute('pads', paddings);
      node.removeAttribute('paddings');
      return 'paddings is called pads';
    },
  },
  {
    op: 'Split',
    since: 2,
    async convert(node) {
      if (!node.inputs[1]) return undefined;
      const split = await constant(node, 1);
      node.setAttribute('split', split);
      node.setInput(1, undefined);
      return 'split became an attribute';
    },
  },
  {
    op: 'Reshape',
    since: 5,
    convert(node) {
      node.removeAttribute('consumed_inputs');
      return listToInput(node, 'shape', 1) ? 'shape became an input' : undefined;
    },
  },
  {
    op: 'Cast',
    since: 6,
    reads: ['to'],
    convert(node) {
      const name = node.string('to');
      const info = Object.entries(dataTypes).find(([key]) => key === name.toLowerCase())?.[1];
      if (!info) throw cannotConvert(node, `the type "${name}" is not known`);
      node.setAttribute('to', info.code);
      return `to became a number (${info.code})`;
    },
  },
  {
    op: 'Selu',
    since: 6,
    convert(node) {
      node.removeAttribute('consumed_inputs');
      if (node.has('alpha') && node.has('gamma')) return undefined;
      // The defaults got more digits.
      if (!node.has('alpha')) node.setAttribute('alpha', floatAttribute(1.6732));
      if (!node.has('gamma')) node.setAttribute('gamma', floatAttribute(1.0507));
      return 'the old defaults of alpha and gamma are written out';
    },
  },
  {
    op: 'Tile',
    since: 6,
    needs: 'rank',
    async convert(node) {
      const data = node.input(0);
      if (!data.dims) throw rankUnknown(node, data);
      const [tiles = 1] = await constant(node, 1);
      const [axis = 0] = await constant(node, 2);
      const repeats = data.dims.map((_, index) => (index === axis ? tiles : 1));
      const tensor = Tensor.of('int64', [repeats.length], repeats);
      node.setInputs([data, addConstant(node, `${node.label}_repeats`, tensor)]);
      return 'tiles and axis became repeats';
    },
  },
];

async function constant(node: Node, index: number): Promise<number[]> {
  const tensor = node.constantInput(index);
  if (!tensor) throw cannotConvert(node, `"${node.input(index).name}" is computed`);
  return await tensor.numbers();
}

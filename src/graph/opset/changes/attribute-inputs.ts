/**
 * Attributes that became inputs, so that they can be computed: the list or number moves into a
 * constant.
 */
import { dataTypes } from '../../../onnx/data-type.js';
import { Tensor } from '../../../onnx/tensor.js';
import { addConstant } from '../../constant.js';
import type { Node } from '../../node.js';
import { type Conversion, cannotConvert, listToInput, rowsFor } from '../conversion.js';
import { elementTypeOf } from '../element-type.js';

const reductions = [
  ['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean'],
  ['ReduceMin', 'ReduceProd', 'ReduceSumSquare'],
].flat();

export const attributeInputs: readonly Conversion[] = [
  {
    op: 'Slice',
    since: 10,
    reads: ['starts', 'ends', 'axes'],
    convert(node) {
      listToInput(node, 'starts', 1);
      listToInput(node, 'ends', 2);
      const axes = listToInput(node, 'axes', 3);
      return `starts${axes ? ', ends and axes' : ' and ends'} became inputs`;
    },
  },
  {
    op: 'TopK',
    since: 10,
    reads: ['k'],
    convert(node) {
      const tensor = Tensor.of('int64', [1], [node.int('k')]);
      node.setInput(1, addConstant(node, `${node.label}_k`, tensor));
      node.removeAttribute('k');
      return 'k became an input';
    },
  },
  {
    op: 'Clip',
    since: 11,
    reads: ['min', 'max'],
    needs: 'type',
    convert(node) {
      const moved = [numberToInput(node, 'min', 1), numberToInput(node, 'max', 2)];
      return moved.some(Boolean) ? 'min and max became inputs' : undefined;
    },
  },
  {
    op: 'Pad',
    since: 11,
    reads: ['pads', 'value', 'mode'],
    needs: 'type',
    convert(node) {
      listToInput(node, 'pads', 1);
      const filled = node.string('mode', 'constant') === 'constant' && node.float('value', 0) !== 0;
      if (filled) numberToInput(node, 'value', 2);
      node.removeAttribute('value');
      return filled ? 'pads and value became inputs' : 'pads became an input';
    },
  },
  ...rowsFor(['Squeeze', 'Unsqueeze', 'ReduceSum'], { since: 13, convert: axesToInput }),
  ...rowsFor(reductions, { since: 18, convert: axesToInput }),
  {
    op: 'Split',
    since: 13,
    convert: (node) => (listToInput(node, 'split', 1) ? 'split became an input' : undefined),
  },
  {
    op: 'Split',
    since: 18,
    convert(node) {
      if (node.inputs[1]) return undefined;
      node.setAttribute('num_outputs', node.outputs.length);
      return `num_outputs ${node.outputs.length} is written out`;
    },
  },
  {
    op: 'DFT',
    since: 20,
    reads: ['axis'],
    convert(node) {
      // Written out always: the default was 1 and became -2.
      const tensor = Tensor.scalar('int64', node.int('axis', 1));
      node.setInput(2, addConstant(node, `${node.label}_axis`, tensor));
      node.removeAttribute('axis');
      return 'axis became an input';
    },
  },
];

function axesToInput(node: Node): string | undefined {
  return listToInput(node, 'axes', 1) ? 'axes became an input' : undefined;
}

/** Moves a FLOAT attribute into a scalar of the element type of input 0. */
function numberToInput(node: Node, name: string, index: number): boolean {
  if (!node.has(name)) return false;
  const dataType = elementTypeOf(node.input(0));
  if (!dataType || dataTypes[dataType].kind === 'string') {
    throw cannotConvert(
      node,
      `${name} becomes an input, and the element type of "${node.input(0).name}" is not known`,
      'give the pass an engine, so that it can infer types, or save the model with value_info',
    );
  }
  const tensor = Tensor.scalar(dataType, node.float(name));
  node.setInput(index, addConstant(node, `${node.label}_${name}`, tensor));
  node.removeAttribute(name);
  return true;
}

/**
 * Dropout: the ratio became an input at opset 12, together with a switch for training, which is
 * left off. The mask changed its type at 10 and its content in inference at 12.
 */
import { Tensor } from '../../../onnx/tensor.js';
import { addConstant } from '../../constant.js';
import type { Node } from '../../node.js';
import { type Conversion, cannotConvert, dropOutput } from '../conversion.js';

export const dropoutChanges: readonly Conversion[] = [
  {
    op: 'Dropout',
    since: 10,
    convert: (node) => dropMask(node),
  },
  {
    op: 'Dropout',
    since: 12,
    reads: ['ratio'],
    convert(node) {
      const phrase = dropMask(node);
      if (!node.has('ratio')) return phrase;
      const tensor = Tensor.scalar('float', node.float('ratio'));
      node.setInput(1, addConstant(node, `${node.label}_ratio`, tensor));
      node.removeAttribute('ratio');
      return 'ratio became an input';
    },
  },
];

function dropMask(node: Node): string | undefined {
  if (!node.outputs[1]) return undefined;
  if (dropOutput(node, 1)) return 'the unused mask left out';
  throw cannotConvert(
    node,
    'its mask is used, whose content in inference is not specified before opset 12',
    'remove the use of the mask',
  );
}

/**
 * Attributes that went away without a change of the result: hints for old memory planners, flags
 * that repeat what the outputs say.
 */
import type { Node } from '../../node.js';
import { type Conversion, cannotConvert, dropOutput, rowsFor } from '../conversion.js';

/** Operators that could write into the memory of an input, up to opset 5. */
const inPlace = [
  ['Abs', 'Add', 'Ceil', 'Clip', 'Div', 'Elu', 'Exp', 'Floor', 'HardSigmoid'],
  ['InstanceNormalization', 'LeakyRelu', 'Log', 'Max', 'Mean', 'Min', 'Mul', 'Neg', 'PRelu'],
  ['Reciprocal', 'Relu', 'Sigmoid', 'Sqrt', 'Sub', 'Sum', 'Tanh', 'BatchNormalization', 'Dropout'],
].flat();

export const removedAttributes: readonly Conversion[] = [
  ...rowsFor(inPlace, { since: 6, convert: (node) => drop(node, 'consumed_inputs') }),
  // It said whether Y is wanted, which the outputs of the node say too.
  ...rowsFor(['RNN', 'LSTM', 'GRU'], {
    since: 7,
    convert: (node) => drop(node, 'output_sequence'),
  }),
  // C is broadcast whenever it has to be.
  { op: 'Gemm', since: 7, convert: (node) => drop(node, 'broadcast') },
  {
    op: 'BatchNormalization',
    since: 7,
    convert(node) {
      // More outputs than Y were the training mode, whatever is_test says.
      for (const index of [4, 3, 2, 1]) {
        if (dropOutput(node, index)) continue;
        throw cannotConvert(node, `it is in training mode, its output ${index} is used`);
      }
      return drop(node, 'is_test');
    },
  },
  // From opset 7 to 11 Dropout always is in inference mode.
  {
    op: 'Dropout',
    since: 7,
    convert: (node) => drop(node, 'is_test', 'is_test left out: Dropout is inference only'),
  },
];

function drop(node: Node, name: string, phrase = `${name} left out`): string | undefined {
  if (!node.has(name)) return undefined;
  node.removeAttribute(name);
  return phrase;
}

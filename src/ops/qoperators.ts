/**
 * The operator on integers that each float operator has, and in which order that takes its tensors:
 * a quantized tensor is three inputs (integers, scale, zero point), the parameters of the result
 * are two.
 * Source: the operators QLinearConv and QLinearMatMul of ONNX, the others of com.microsoft; what
 * only moves elements takes integers itself.
 */
import type { Node } from '../graph/node.js';

/** The integers of an input by its index; all inputs in turn; the bias; scale and zero point of the result. */
export type Operand = number | 'inputs' | 'bias' | 'result';

export interface QOperator {
  readonly opType: string;
  readonly domain: string;
  readonly operands: readonly Operand[];
  /** Where scale and zero point of the result are left out, it gives float. */
  readonly floatResult?: boolean;
  /** Attributes of the float operator that this one does not know. */
  readonly drops?: readonly string[];
  /** What it has no form for, as a phrase; undefined where it has one. */
  readonly refuses?: (node: Node) => string | undefined;
}

/** The operator itself, on integers. */
export type IntegerForm = QOperator | 'itself';

const ms = 'com.microsoft';

const standard = (opType: string, ...operands: Operand[]): QOperator =>
  Object.freeze({ opType, domain: '', operands });
const contributed = (opType: string, ...operands: Operand[]): QOperator =>
  Object.freeze({ opType, domain: ms, operands });

/** By operator; one that is not listed stays between DequantizeLinear and QuantizeLinear. */
export const qOperators: Readonly<Record<string, IntegerForm>> = Object.freeze({
  Conv: standard('QLinearConv', 0, 1, 'result', 'bias'),
  MatMul: standard('QLinearMatMul', 0, 1, 'result'),
  Gemm: { ...contributed('QGemm', 0, 1, 'bias', 'result'), floatResult: true },
  Add: contributed('QLinearAdd', 0, 1, 'result'),
  Mul: contributed('QLinearMul', 0, 1, 'result'),
  Concat: contributed('QLinearConcat', 'result', 'inputs'),
  Sigmoid: contributed('QLinearSigmoid', 0, 'result'),
  LeakyRelu: contributed('QLinearLeakyRelu', 0, 'result'),
  GlobalAveragePool: contributed('QLinearGlobalAveragePool', 0, 'result'),
  AveragePool: {
    ...contributed('QLinearAveragePool', 0, 'result'),
    drops: ['dilations'],
    refuses: (node) =>
      node.ints('dilations', []).some((step) => step !== 1)
        ? 'QLinearAveragePool has no dilations'
        : undefined,
  },
  DepthToSpace: 'itself',
  Expand: 'itself',
  Flatten: 'itself',
  MaxPool: 'itself',
  Reshape: 'itself',
  Slice: 'itself',
  Split: 'itself',
  Squeeze: 'itself',
  Tile: 'itself',
  Transpose: 'itself',
  Unsqueeze: 'itself',
});

/**
 * Which operators are the traces of quantization, and of which kind. Answers for one node; what a
 * model as a whole is follows from counting.
 * Source: the operator lists of ONNX and of ONNX Runtime's contrib operators.
 */
import type { Node } from '../graph/node.js';
import { dataTypes } from '../onnx/data-type.js';

/**
 * - qdq: QuantizeLinear and DequantizeLinear around activations;
 * - qoperator: operators that compute on quantized tensors with fixed scales;
 * - dynamic: activations quantized anew in every run;
 * - n-bits: operators that read packed weights of 4 bits or so;
 * - stored-integer: weights stored as integers, computed as floats;
 * - stored-half: weights stored as float16 or bfloat16, computed as wider floats.
 */
export type QuantizedForm =
  | 'qdq'
  | 'qoperator'
  | 'dynamic'
  | 'n-bits'
  | 'stored-integer'
  | 'stored-half';

/** All forms, the ones that say most about a model first. */
export const quantizedForms: readonly QuantizedForm[] = Object.freeze([
  'qdq',
  'qoperator',
  'dynamic',
  'n-bits',
  'stored-integer',
  'stored-half',
]);

type Rule = QuantizedForm | ((node: Node) => QuantizedForm | undefined);

const dequantize: Rule = (node) => (node.constantInput(0) ? 'stored-integer' : 'qdq');

/** Exporters cast integers of other widths too: token ids, masks and the like. */
const cast: Rule = (node) => {
  const stored = node.constantInput(0);
  if (!stored || stored.dims.length < 2) return undefined;
  const { kind, bits } = dataTypes[stored.dataType];
  if (kind === 'float') return bits === 16 ? 'stored-half' : undefined;
  return (kind === 'signed' || kind === 'unsigned') && bits <= 8 ? 'stored-integer' : undefined;
};

const ms = 'com.microsoft';

const rules: Readonly<Record<string, Rule>> = Object.freeze({
  QuantizeLinear: 'qdq',
  DequantizeLinear: dequantize,
  [`${ms}:QuantizeLinear`]: 'qdq',
  [`${ms}:DequantizeLinear`]: dequantize,
  Cast: cast,
  QLinearConv: 'qoperator',
  QLinearMatMul: 'qoperator',
  ...same('qoperator', [
    'QGemm',
    'QAttention',
    'QLinearAdd',
    'QLinearAveragePool',
    'QLinearConcat',
    'QLinearConv',
    'QLinearGlobalAveragePool',
    'QLinearLeakyRelu',
    'QLinearMul',
    'QLinearReduceMean',
    'QLinearSigmoid',
    'QLinearSoftmax',
    'QLinearWhere',
  ]),
  DynamicQuantizeLinear: 'dynamic',
  MatMulInteger: 'dynamic',
  ConvInteger: 'dynamic',
  ...same('dynamic', [
    'DynamicQuantizeMatMul',
    'DynamicQuantizeLSTM',
    'MatMulIntegerToFloat',
    'ConvIntegerToFloat',
  ]),
  ...same('n-bits', ['MatMulNBits', 'MatMulBnb4', 'MatMulFpQ4', 'GatherBlockQuantized', 'QMoE']),
} satisfies Record<string, Rule>);

function same(form: QuantizedForm, opTypes: readonly string[]): Record<string, Rule> {
  return Object.fromEntries(opTypes.map((opType) => [`${ms}:${opType}`, form]));
}

/** What the node tells of quantization; undefined when it tells nothing. */
export function quantizedForm(node: Node): QuantizedForm | undefined {
  const rule = Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
  return typeof rule === 'function' ? rule(node) : rule;
}

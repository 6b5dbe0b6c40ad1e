/**
 * What a constant is for, by the input of the operator that uses it: weight, bias, scale and zero
 * point, and so on. Answers for one use; who follows uses through a graph is not here.
 * Source: the input lists of the ONNX operator specification and ONNX Runtime's contrib operators.
 */
import type { Node } from '../graph/node.js';
import { dataTypes } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';

/**
 * - weight: what activations are multiplied with in a contraction, and learned slopes;
 * - embedding: a table that rows are looked up in, or that is added by position;
 * - bias: added per channel;
 * - normalization: statistics, scales and shifts of normalization, and per-channel factors;
 * - quantization: scales, zero points and group indices of quantized tensors;
 * - constant: everything else, such as shapes, axes, masks and initial states.
 */
export type ConstantRole =
  | 'weight'
  | 'embedding'
  | 'bias'
  | 'normalization'
  | 'quantization'
  | 'constant';

/** All roles. A constant with several uses counts once, under the first of its roles in this order. */
export const constantRoles: readonly ConstantRole[] = Object.freeze([
  'weight',
  'embedding',
  'bias',
  'normalization',
  'quantization',
  'constant',
]);

/** Roles whose elements are parameters: numbers that training found. */
export const parameterRoles: ReadonlySet<ConstantRole> = new Set<ConstantRole>([
  'weight',
  'embedding',
  'bias',
  'normalization',
]);

/** 'through': the node passes the constant on, so its role is that of the output's uses. */
type Role = ConstantRole | 'through';
type Rule = Role | ((tensor: Tensor) => Role);
/** By position of the input; inputs that are not listed hold constants. */
type Row = Readonly<Record<number, Rule>>;

/** A list of roles from input 0 on; '' is a hole. */
function row(...rules: (Rule | '')[]): Row {
  return Object.fromEntries([...rules.entries()].filter(([, rule]) => rule !== '')) as Row;
}

const isNumberTable = (tensor: Tensor) => isNumeric(tensor) && tensor.dims.length >= 2;
/** Integers too: a quantized bias is int32. Shapes and ids are int64. */
const isNumeric = ({ dataType }: Tensor) => {
  const { kind, bits } = dataTypes[dataType];
  return kind === 'float' || (bits <= 32 && (kind === 'signed' || kind === 'unsigned'));
};
const isStoredInteger = ({ dataType }: Tensor) => {
  const { kind, bits } = dataTypes[dataType];
  return bits <= 8 && (kind === 'signed' || kind === 'unsigned');
};
const longAxes = ({ dims }: Tensor) => dims.filter((dim) => dim > 1);

const table: Rule = (tensor) => (isNumberTable(tensor) ? 'embedding' : 'constant');
/**
 * What is added along one axis is a bias, along several a learned table of positions. But a
 * square is an attention mask, which exporters store at the longest length and slice.
 */
const shift: Rule = (tensor) => {
  const axes = isNumeric(tensor) ? longAxes(tensor) : [];
  if (axes.length < 2) return axes.length === 0 ? 'constant' : 'bias';
  return axes.length === 2 && axes[0] === axes[1] ? 'constant' : 'embedding';
};
/**
 * Along several axes it is a table of angles or a mask; or, in small integers, a stored weight
 * that is multiplied with its scale.
 */
const factor: Rule = (tensor) => {
  const axes = isNumeric(tensor) ? longAxes(tensor).length : 0;
  if (axes === 1) return 'normalization';
  return axes > 1 && isStoredInteger(tensor) ? 'through' : 'constant';
};
const q = 'quantization';
const n = 'normalization';

const contraction = row('weight', 'weight', 'bias');
const recurrent: Row = { 1: 'weight', 2: 'weight', 3: 'bias', 7: 'weight' };
const affine = row('', n, n, n, n);
const skip = row('', '', n, n, 'bias');
const shifted = row(shift, shift);
const scaled = row(factor, factor);
const through = row('through');
const integer = row('weight', 'weight', q, q);
const linear = row('weight', q, q, 'weight', q, q, q, q, 'bias');

const rows: Readonly<Record<string, Row>> = Object.freeze({
  Conv: contraction,
  ConvTranspose: contraction,
  DeformConv: { 1: 'weight', 3: 'bias' },
  MatMul: contraction,
  Gemm: contraction,
  Einsum: contraction,
  ConvInteger: integer,
  MatMulInteger: integer,
  QLinearConv: linear,
  QLinearMatMul: row('weight', q, q, 'weight', q, q, q, q),
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  PRelu: row('', 'weight'),
  BatchNormalization: affine,
  InstanceNormalization: affine,
  LayerNormalization: affine,
  GroupNormalization: affine,
  RMSNormalization: affine,
  SimplifiedLayerNormalization: affine,
  Gather: row(table),
  Add: shifted,
  Sub: shifted,
  Sum: shifted,
  Mul: scaled,
  Div: scaled,
  QuantizeLinear: row('through', q, q),
  DequantizeLinear: row('through', q, q),
  Identity: through,
  Cast: through,
  CastLike: through,
  Transpose: through,
  Reshape: through,
  Flatten: through,
  Squeeze: through,
  Unsqueeze: through,
  Concat: row('through', 'through', 'through', 'through'),
  Slice: through,
  Split: through,
  Expand: through,
  'com.microsoft:FusedConv': contraction,
  'com.microsoft:NhwcFusedConv': contraction,
  'com.microsoft:FusedMatMul': contraction,
  'com.microsoft:FusedGemm': contraction,
  'com.microsoft:QuantizeLinear': row('through', q, q),
  'com.microsoft:DequantizeLinear': row('through', q, q),
  'com.microsoft:QLinearConv': linear,
  'com.microsoft:QGemm': row('weight', q, q, 'weight', q, q, 'bias', q, q),
  'com.microsoft:QLinearAdd': row(shift, q, q, shift, q, q, q, q),
  'com.microsoft:QLinearMul': row(factor, q, q, factor, q, q, q, q),
  'com.microsoft:QLinearSigmoid': row('', q, q, q, q),
  'com.microsoft:QLinearLeakyRelu': row('', q, q, q, q),
  'com.microsoft:QLinearSoftmax': row('', q, q, q, q),
  'com.microsoft:QLinearAveragePool': row('', q, q, q, q),
  'com.microsoft:QLinearGlobalAveragePool': row('', q, q, q, q),
  'com.microsoft:QLinearReduceMean': row('', q, q, q, q),
  'com.microsoft:DynamicQuantizeMatMul': row('weight', 'weight', q, q, 'bias'),
  'com.microsoft:MatMulIntegerToFloat': row('weight', 'weight', q, q, q, q, 'bias'),
  'com.microsoft:MatMulNBits': row('', 'weight', q, q, q, 'bias'),
  'com.microsoft:MatMulBnb4': row('', 'weight', q),
  'com.microsoft:DynamicQuantizeLSTM': { ...recurrent, 8: q, 9: q, 10: q, 11: q },
  'com.microsoft:Attention': contraction,
  'com.microsoft:QAttention': row('', 'weight', 'bias', q, q, '', q, q),
  'com.microsoft:MultiHeadAttention': { 3: 'bias' },
  'com.microsoft:GatherBlockQuantized': row('embedding', '', q, q),
  'com.microsoft:EmbedLayerNormalization': row('', '', 'embedding', 'embedding', 'embedding', n, n),
  'com.microsoft:SkipLayerNormalization': skip,
  'com.microsoft:SkipSimplifiedLayerNormalization': row('', '', n, 'bias'),
  'com.microsoft:GroupNorm': affine,
  'com.microsoft:BiasGelu': row('', 'bias'),
  'com.microsoft:FastGelu': row('', 'bias'),
});

/** The role that `tensor` has as this input of the node, or 'through' where the node passes it on. */
export function roleOfInput(node: Node, index: number, tensor: Tensor): ConstantRole | 'through' {
  const rule = (Object.hasOwn(rows, node.op) ? rows[node.op] : undefined)?.[index];
  if (rule === undefined) return 'constant';
  return typeof rule === 'function' ? rule(tensor) : rule;
}

/** Operators that take several elements packed in a byte: how many elements one array entry holds. */
const packing: Readonly<Record<string, (node: Node) => { index: number; perEntry: number }>> =
  Object.freeze({
    'com.microsoft:MatMulNBits': (node) => ({ index: 1, perEntry: 8 / node.int('bits', 4) }),
    'com.microsoft:MatMulBnb4': () => ({ index: 1, perEntry: 2 }),
    'com.microsoft:GatherBlockQuantized': (node) => ({
      index: 0,
      perEntry: 8 / node.int('bits', 4),
    }),
  });

/** Elements that the input stands for: more than the tensor's own where bytes hold several. */
export function elementsOfInput(node: Node, index: number, tensor: Tensor): number {
  if (dataTypes[tensor.dataType].bits !== 8) return tensor.size;
  const packed = Object.hasOwn(packing, node.op) ? packing[node.op]?.(node) : undefined;
  return packed?.index === index ? tensor.size * packed.perEntry : tensor.size;
}

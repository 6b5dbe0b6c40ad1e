/**
 * The element type of a value by following the graph backwards, for files that list no types of
 * intermediate values. In the standard operators an output has the type of the first input unless
 * a row here says otherwise. Source: the type constraints of the ONNX operator specification.
 */
import { type DataType, dataTypeFromCode } from '../../onnx/data-type.js';
import type { Node } from '../node.js';
import type { Value } from '../value.js';
import { isStandardOperator } from './versions.js';

/** A type, the index of the input that has the same type, or a function that reads the node. */
type Rule = DataType | number | ((node: Node) => DataType | number | undefined);

const unknown: Rule = () => undefined;
const fromCode =
  (name: string, otherwise?: DataType | number): Rule =>
  (node) =>
    node.attributes.get(name)?.type === 'int' ? dataTypeFromCode(node.int(name)) : otherwise;

const truth = [
  ['And', 'Or', 'Xor', 'Not', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'],
  ['IsInf', 'IsNaN', 'OptionalHasElement', 'RegexFullMatch'],
].flat();
const counted = ['ArgMax', 'ArgMin', 'NonMaxSuppression', 'NonZero', 'SequenceLength', 'Shape'];
const opaque = [
  ['If', 'Loop', 'Scan', 'SequenceMap', 'Optional', 'OptionalGetElement', 'SequenceConstruct'],
  ['SequenceAt', 'SequenceEmpty', 'SplitToSequence', 'ConcatFromSequence', 'TfIdfVectorizer'],
  ['BitCast', 'ImageDecoder', 'StringSplit', 'SequenceInsert', 'SequenceErase'],
].flat();

/** By operator: the rules of its outputs in order; the last one holds for all that follow. */
const rules: Readonly<Record<string, readonly Rule[]>> = {
  ...Object.fromEntries(truth.map((op) => [op, ['bool']])),
  ...Object.fromEntries([...counted, 'Size'].map((op) => [op, ['int64']])),
  ...Object.fromEntries(opaque.map((op) => [op, [unknown]])),
  BatchNormalization: [0, unknown],
  Bernoulli: [fromCode('dtype', 0)],
  BlackmanWindow: [fromCode('output_datatype', 'float')],
  Cast: [fromCode('to')],
  CastLike: [1],
  Constant: [(node) => node.tensorAttribute('value')?.dataType],
  ConstantOfShape: [(node) => node.tensorAttribute('value')?.dataType ?? 'float'],
  ConvInteger: ['int32'],
  DequantizeLinear: [fromCode('output_dtype', 1)],
  Dropout: [0, unknown],
  DynamicQuantizeLinear: ['uint8', 'float', 'uint8'],
  EyeLike: [fromCode('dtype', 0)],
  HammingWindow: [fromCode('output_datatype', 'float')],
  HannWindow: [fromCode('output_datatype', 'float')],
  LayerNormalization: [0, unknown],
  MatMulInteger: ['int32'],
  MaxPool: [0, 'int64'],
  MelWeightMatrix: [fromCode('output_datatype', 'float')],
  Multinomial: [fromCode('dtype', 'int32')],
  OneHot: [2],
  QLinearConv: [7],
  QLinearMatMul: [7],
  QuantizeLinear: [(node) => (node.inputs[2] ? 2 : undefined)],
  RandomNormal: [fromCode('dtype', 'float')],
  RandomNormalLike: [fromCode('dtype', 0)],
  RandomUniform: [fromCode('dtype', 'float')],
  RandomUniformLike: [fromCode('dtype', 0)],
  TopK: [0, 'int64'],
  Unique: [0, 'int64'],
  Where: [1],
};

/** Undefined where it depends on a subgraph, a sequence or an operator of another domain. */
export function elementTypeOf(start: Value): DataType | undefined {
  let value: Value | undefined = start;
  while (value) {
    if (value.dataType) return value.dataType;
    const node: Node | undefined = value.producer;
    if (node?.domain !== '' || !isStandardOperator(node.opType)) return undefined;
    const list: readonly Rule[] = rules[node.opType] ?? [0];
    const rule: Rule = list[Math.min(value.outputIndex, list.length - 1)]!;
    const answer: DataType | number | undefined = typeof rule === 'function' ? rule(node) : rule;
    if (typeof answer !== 'number') return answer;
    value = node.inputs[answer];
  }
  return undefined;
}

/**
 * Attributes of nodes as text, except graphs, which print.ts lays out over lines.
 */

import {
  AttributeProto_AttributeType as Kind,
  type SparseTensorProto,
} from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import type { Attribute } from './attribute.js';
import { sparseParts } from './sparse.js';
import { contentText, type WeightDetail } from './tensor-text.js';
import { floatLiteral, nameText, quotedBytes } from './text-literals.js';
import { dimsText, typeText } from './type-text.js';
import { typeFromProto } from './value-type.js';

export type PlainAttribute = Exclude<Attribute, { readonly type: 'graph' | 'graphs' }>;

/** Names of attribute types in the text, by their code in the file. */
export const attributeTypeNames: ReadonlyMap<number, string> = new Map([
  [Kind.UNDEFINED, 'undefined'],
  [Kind.FLOAT, 'float'],
  [Kind.INT, 'int'],
  [Kind.STRING, 'string'],
  [Kind.TENSOR, 'tensor'],
  [Kind.GRAPH, 'graph'],
  [Kind.SPARSE_TENSOR, 'sparse_tensor'],
  [Kind.TYPE_PROTO, 'type_proto'],
  [Kind.FLOATS, 'floats'],
  [Kind.INTS, 'ints'],
  [Kind.STRINGS, 'strings'],
  [Kind.TENSORS, 'tensors'],
  [Kind.GRAPHS, 'graphs'],
  [Kind.SPARSE_TENSORS, 'sparse_tensors'],
  [Kind.TYPE_PROTOS, 'type_protos'],
]);

/** The kind that a list has when it is empty, where nothing inside tells. */
const listTypes: Partial<Record<Attribute['type'], string>> = {
  floats: 'floats',
  ints: 'ints',
  strings: 'strings',
  tensors: 'tensors',
  graphs: 'graphs',
  'sparse-tensors': 'sparse_tensors',
  types: 'type_protos',
};

/** 'axis', 'axes: ints' when the list is empty, 'alpha: float' before a reference. */
export function attributeHead(name: string, attribute: Attribute): string {
  const head = nameText(name);
  if (attribute.type === 'reference') {
    return `${head}: ${attributeTypeNames.get(attribute.typeCode) ?? 'undefined'}`;
  }
  const empty = Array.isArray(attribute.value) && attribute.value.length === 0;
  return empty ? `${head}: ${listTypes[attribute.type]}` : head;
}

/** The value: '1', '1.0', '[1, 2]', '"SAME"', 'float[2] {0.5, 1}', '@alpha'. */
export async function attributeValue(
  attribute: PlainAttribute,
  detail: WeightDetail,
): Promise<string> {
  switch (attribute.type) {
    case 'float':
      return floatLiteral(attribute.value);
    case 'int':
      return String(attribute.value);
    case 'string':
      return quotedBytes(attribute.value);
    case 'floats':
      return list(attribute.value.map(floatLiteral));
    case 'ints':
      return list(attribute.value.map(String));
    case 'strings':
      return list(attribute.value.map(quotedBytes));
    case 'tensor':
      return tensorText(attribute.value, detail);
    case 'tensors':
      return list(await Promise.all(attribute.value.map((t) => tensorText(t, detail))));
    case 'sparse-tensor':
      return sparseText(attribute.value, detail);
    case 'sparse-tensors':
      return list(await Promise.all(attribute.value.map((t) => sparseText(t, detail))));
    case 'type':
      return typeText(typeFromProto(attribute.value));
    case 'types':
      return list(attribute.value.map((type) => typeText(typeFromProto(type))));
    case 'reference':
      return `@${nameText(attribute.value)}`;
  }
}

/** 'float[2] {0.5, 1}' */
export async function tensorText(tensor: Tensor, detail: WeightDetail): Promise<string> {
  return `${tensor.dataType}${dimsText(tensor.dims)} ${await contentText(tensor, detail)}`;
}

/** 'sparse_tensor(float[3,4]) {float[2] {0.5, 1}, int64[2] {0, 7}}': values, then indices. */
export async function sparseText(proto: SparseTensorProto, detail: WeightDetail): Promise<string> {
  const { type, data } = await sparseTexts(proto, detail);
  return `${type} ${data}`;
}

export async function sparseTexts(
  proto: SparseTensorProto,
  detail: WeightDetail,
): Promise<{ type: string; data: string }> {
  const { dims, values, indices } = sparseParts(proto);
  const parts = await Promise.all([values, indices].map((part) => tensorText(part, detail)));
  return {
    type: `sparse_tensor(${values.dataType}${dimsText(dims)})`,
    data: `{${parts.join(', ')}}`,
  };
}

function list(texts: readonly string[]): string {
  return `[${texts.join(', ')}]`;
}

/**
 * Attributes of nodes as tagged values. Strings stay bytes, since ONNX does not promise UTF-8;
 * integers stay bigint, since Slice writes INT64_MAX. Typed access is on Node.
 */
import type { SparseTensorProto, TypeProto } from '../onnx/schema/onnx_pb.js';
import { Tensor } from '../onnx/tensor.js';
import { Graph } from './graph.js';

export type Attribute =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: bigint }
  | { readonly type: 'string'; readonly value: Uint8Array }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: Graph }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly bigint[] }
  | { readonly type: 'strings'; readonly value: readonly Uint8Array[] }
  | { readonly type: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly type: 'graphs'; readonly value: readonly Graph[] }
  | { readonly type: 'sparse-tensor'; readonly value: SparseTensorProto }
  | { readonly type: 'sparse-tensors'; readonly value: readonly SparseTensorProto[] }
  | { readonly type: 'type'; readonly value: TypeProto }
  | { readonly type: 'types'; readonly value: readonly TypeProto[] }
  /** In a function body: the attribute of the call, by its name and its ONNX type code. */
  | { readonly type: 'reference'; readonly value: string; readonly typeCode: number };

/**
 * What callers write for an attribute. Plain numbers are ambiguous (axis=1 is an int, alpha=1 a
 * float), so a number means int when it is an integer; write `floatAttribute(1)` for a float.
 */
export type AttributeInput =
  | number
  | bigint
  | string
  | readonly number[]
  | readonly bigint[]
  | readonly string[]
  | Tensor
  | Graph
  | Attribute;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @example floatAttribute(1) // alpha = 1.0 */
export function floatAttribute(value: number): Attribute {
  return { type: 'float', value: Math.fround(value) };
}

export function floatsAttribute(value: readonly number[]): Attribute {
  return { type: 'floats', value: value.map(Math.fround) };
}

export function intsAttribute(value: readonly (number | bigint)[]): Attribute {
  return { type: 'ints', value: value.map(BigInt) };
}

export function toAttribute(input: AttributeInput): Attribute {
  if (input instanceof Tensor) return { type: 'tensor', value: input };
  if (input instanceof Graph) return { type: 'graph', value: input };
  if (typeof input === 'string') return { type: 'string', value: encoder.encode(input) };
  if (typeof input === 'bigint') return { type: 'int', value: input };
  if (typeof input === 'number') {
    return Number.isInteger(input) ? { type: 'int', value: BigInt(input) } : floatAttribute(input);
  }
  if (Array.isArray(input)) return listAttribute(input);
  return input as Attribute;
}

function listAttribute(list: readonly (number | bigint | string)[]): Attribute {
  if (list.some((item) => typeof item === 'string')) {
    return { type: 'strings', value: list.map((item) => encoder.encode(String(item))) };
  }
  if (list.every((item) => typeof item === 'bigint' || Number.isInteger(item))) {
    return intsAttribute(list as (number | bigint)[]);
  }
  return floatsAttribute(list.map(Number));
}

/** The text of a string attribute. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The subgraphs inside an attribute. */
export function graphsOf(attribute: Attribute): readonly Graph[] {
  if (attribute.type === 'graph') return [attribute.value];
  return attribute.type === 'graphs' ? attribute.value : [];
}

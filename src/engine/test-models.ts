/**
 * Builds small models for the tests of this folder, straight as messages of the file format, so
 * that the engine is tested without the graph room. Not part of the library's interface.
 */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type DataType, dataTypes, type TypedArray } from '../onnx/data-type.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import type { ModelSource } from './engine.js';
import { hostTensor } from './host-tensor.js';

type AttributeValue = number | readonly number[] | string | GraphProto | TensorProto;

/** Whole numbers become INT, others FLOAT; arrays become INTS. */
export function node(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  domain = '',
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    name: output[0] ?? opType,
    input: [...input],
    output: [...output],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    ...(domain === '' ? {} : { domain }),
  });
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  const fields = ((): MessageInitShape<typeof AttributeProtoSchema> => {
    if (typeof value === 'string') {
      return { type: AttributeType.STRING, s: new TextEncoder().encode(value) };
    }
    if (typeof value === 'number') {
      return Number.isInteger(value)
        ? { type: AttributeType.INT, i: BigInt(value) }
        : { type: AttributeType.FLOAT, f: value };
    }
    if ('$typeName' in value) {
      return value.$typeName === 'onnx.GraphProto'
        ? { type: AttributeType.GRAPH, g: value }
        : { type: AttributeType.TENSOR, t: value };
    }
    return { type: AttributeType.INTS, ints: value.map((each) => BigInt(each)) };
  })();
  return create(AttributeProtoSchema, { name, ...fields });
}

/** Without dims the rank is unknown; a string is a symbolic dimension, '' an unknown one. */
export function port(
  name: string,
  dataType: DataType,
  dims?: readonly (number | string)[],
): ValueInfoProto {
  const dim = dims?.map((each) =>
    typeof each === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(each) } }
      : each === ''
        ? {}
        : { value: { case: 'dimParam' as const, value: each } },
  );
  const elemType = dataTypes[dataType].code;
  const tensor = dim === undefined ? { elemType } : { elemType, shape: { dim } };
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: tensor } },
  });
}

export function weight(
  name: string,
  dataType: DataType,
  dims: readonly number[],
  data: TypedArray,
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: dataTypes[dataType].code,
    dims: dims.map((dim) => BigInt(dim)),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
}

export interface GraphParts {
  readonly nodes: readonly NodeProto[];
  readonly inputs?: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
  readonly weights?: readonly TensorProto[];
}

export function graph({ nodes, inputs = [], outputs, weights = [] }: GraphParts): GraphProto {
  return create(GraphProtoSchema, {
    name: 'g',
    node: [...nodes],
    input: [...inputs],
    output: [...outputs],
    initializer: [...weights],
  });
}

export function model(
  parts: GraphParts,
  { opset = 17, irVersion = 8 }: { opset?: number; irVersion?: number } = {},
): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: BigInt(irVersion),
    graph: graph(parts),
    opsetImport: [{ domain: '', version: BigInt(opset) }],
  });
}

export function sourceOf(message: ModelProto): Extract<ModelSource, { parts: unknown }> {
  return { parts: [toBinary(ModelProtoSchema, message)] };
}

/** y = x w, w the 64 by 64 matrix of ones. */
export const product = sourceOf(
  model({
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    inputs: [port('x', 'float', ['N', 64])],
    outputs: [port('y', 'float', ['N', 64])],
    weights: [weight('w', 'float', [64, 64], new Float32Array(64 * 64).fill(1))],
  }),
);
/** 32 rows of twos: every element of the product is 128. */
export const productFeeds = {
  x: hostTensor('float', [32, 64], new Float32Array(32 * 64).fill(2)),
};

/**
 * Sparse tensors as the dense parts that they are made of. pare keeps them as they stand in the
 * file; this is for showing and comparing them.
 */
import { create } from '@bufbuild/protobuf';
import { PareError } from '../errors.js';
import { dataTypes } from '../onnx/data-type.js';
import {
  type SparseTensorProto,
  SparseTensorProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../onnx/schema/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import { tensorFromProto } from '../onnx/tensor-proto.js';

export interface SparseParts {
  /** Dims of the whole tensor. */
  readonly dims: readonly number[];
  /** The elements that are not zero, [n]. */
  readonly values: Tensor;
  /** Their places: int64 [n] linear, or [n, rank]. */
  readonly indices: Tensor;
}

/** Throws `invalid-model` when a part is missing. */
export function sparseParts(proto: SparseTensorProto): SparseParts {
  const { values, indices } = proto;
  if (!values || !indices) {
    throw new PareError('invalid-model', 'graph: a sparse tensor lacks its values or indices', {
      tensor: values?.name,
    });
  }
  const none = new Map();
  return {
    dims: proto.dims.map(Number),
    values: tensorFromProto(values, none),
    indices: tensorFromProto(indices, none),
  };
}

/** The message of a sparse tensor whose parts are in memory. */
export function sparseToProto({ dims, values, indices }: SparseParts): SparseTensorProto {
  return create(SparseTensorProtoSchema, {
    dims: dims.map(BigInt),
    values: partToProto(values),
    indices: partToProto(indices),
  });
}

function partToProto({ dataType, dims, content }: Tensor): TensorProto {
  const proto = create(TensorProtoSchema, {
    dims: dims.map(BigInt),
    dataType: dataTypes[dataType].code,
  });
  if (content.kind === 'bytes') proto.rawData = content.bytes;
  else if (content.kind === 'strings') proto.stringData = [...content.strings];
  else throw new PareError('unsupported', 'graph: parts of a sparse tensor must be in memory');
  return proto;
}

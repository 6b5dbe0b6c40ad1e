/**
 * TensorProto to Tensor and back: every way in which ONNX stores numbers becomes one view, and
 * sizes are checked before anything is allocated. Weights in external files are not read here.
 */
import { create } from '@bufbuild/protobuf';
import { type ErrorPlace, PareError } from '../errors.js';
import type { ByteSource } from './byte-source.js';
import { byteLengthOf, type DataType, dataTypeFromCode, dataTypes } from './data-type.js';
import { externalContent } from './external.js';
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from './schema/onnx_pb.js';
import { Tensor, type TensorContent } from './tensor.js';
import {
  filledFields,
  typedBytes,
  typedFieldNumbers,
  typedFieldOf,
  typedLength,
} from './typed-data.js';

/**
 * The tensor that a message describes. `externals` maps external locations, as the file states
 * them, to their bytes (see `openExternals`). Bytes are views of the file where the layout is
 * that of raw_data; numbers in int32_data, int64_data and uint64_data are converted, keeping
 * the low bits of each.
 *
 * Throws PareError `invalid-model` when size and dims disagree, a field does not fit the data
 * type, or external data is missing or too short; `unsupported` for segments.
 * @example const weight = tensorFromProto(proto.graph.initializer[0], new Map());
 */
export function tensorFromProto(
  proto: TensorProto,
  externals: ReadonlyMap<string, ByteSource>,
  where: ErrorPlace = {},
): Tensor {
  const place = { ...where, tensor: where.tensor ?? proto.name };
  if (proto.segment) {
    throw new PareError('unsupported', 'onnx: the tensor is stored in segments', {
      ...place,
      hint: 'save the model again with a current version of the onnx package',
    });
  }
  const dataType = dataTypeOf(proto, place);
  const dims = dimsOf(proto, place);
  const count = countOf(dims, place);
  return new Tensor(
    dataType,
    dims,
    contentOf(proto, dataType, dims, count, externals, place),
    proto,
  );
}

/**
 * The message of a tensor without its content, which belongs beside it in
 * `ModelMessage.contents`. Doc string, metadata and unknown fields come from the message that
 * the tensor was read from.
 */
export function tensorToProto(tensor: Tensor, name: string): TensorProto {
  const { origin } = tensor;
  const proto = create(TensorProtoSchema, {
    dims: tensor.dims.map(BigInt),
    dataType: dataTypes[tensor.dataType].code,
  });
  if (name !== '' || (origin && Object.hasOwn(origin, 'name'))) proto.name = name;
  if (!origin) return proto;
  if (Object.hasOwn(origin, 'docString')) proto.docString = origin.docString;
  proto.metadataProps = [...origin.metadataProps];
  const unknown = origin.$unknown?.filter(({ no }) => !typedFieldNumbers.has(no)) ?? [];
  if (unknown.length > 0) proto.$unknown = unknown;
  return proto;
}

function dataTypeOf({ dataType: code }: TensorProto, where: ErrorPlace): DataType {
  const dataType = dataTypeFromCode(code);
  if (dataType) return dataType;
  throw new PareError(
    'invalid-model',
    code === 0 ? 'onnx: the tensor has no data type' : `onnx: unknown data type ${code}`,
    {
      ...where,
      hint: code > 26 ? 'the data type may be newer than this version of pare' : undefined,
    },
  );
}

function dimsOf(proto: TensorProto, where: ErrorPlace): number[] {
  return proto.dims.map((dim) => {
    if (dim >= 0n && dim <= Number.MAX_SAFE_INTEGER) return Number(dim);
    throw new PareError('invalid-model', `onnx: dimension ${dim} in dims [${proto.dims}]`, where);
  });
}

function countOf(dims: readonly number[], where: ErrorPlace): number {
  if (dims.includes(0)) return 0;
  const count = dims.reduce((product, dim) => product * dim, 1);
  // 2^49 elements of 128 bits still have an exact number of bytes.
  if (count <= 2 ** 49) return count;
  throw new PareError('invalid-model', `onnx: dims [${dims}] have about ${count} elements`, where);
}

function contentOf(
  proto: TensorProto,
  dataType: DataType,
  dims: readonly number[],
  count: number,
  externals: ReadonlyMap<string, ByteSource>,
  where: ErrorPlace,
): TensorContent {
  const wrongSize = (found: string, needed: string) =>
    new PareError(
      'invalid-model',
      `onnx: ${found}, dims [${dims}] of ${dataType} need ${needed}`,
      where,
    );
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    if (dataType === 'string') {
      throw new PareError('invalid-model', 'onnx: strings cannot be in external data', where);
    }
    return externalContent(proto, byteLengthOf(dataType, count), externals, where);
  }
  const filled = filledFields(proto);
  const field = typedFieldOf(dataType);
  for (const other of filled.keys()) {
    if (other === field) continue;
    const expected = field ?? 'string_data';
    throw new PareError(
      'invalid-model',
      `onnx: ${dataType} elements belong in raw_data or ${expected}, found ${other}`,
      where,
    );
  }
  if (field === undefined) {
    if (proto.rawData.length > 0) {
      throw new PareError('invalid-model', 'onnx: strings cannot be in raw_data', where);
    }
    if (proto.stringData.length !== count) {
      throw wrongSize(`string_data holds ${proto.stringData.length} strings`, `${count}`);
    }
    return { kind: 'strings', strings: proto.stringData };
  }
  const numbers = filled.get(field) ?? 0;
  if (numbers > 0 && proto.rawData.length > 0) {
    throw new PareError('invalid-model', `onnx: the tensor has both raw_data and ${field}`, where);
  }
  if (numbers > 0) {
    const needed = typedLength(dataType, count);
    if (numbers !== needed) throw wrongSize(`${field} holds ${numbers} numbers`, `${needed}`);
    return { kind: 'bytes', bytes: typedBytes(proto, field, dataType, numbers) };
  }
  const needed = byteLengthOf(dataType, count);
  if (proto.rawData.length !== needed) {
    throw wrongSize(`raw_data holds ${proto.rawData.length} bytes`, `${needed}`);
  }
  return { kind: 'bytes', bytes: proto.rawData };
}

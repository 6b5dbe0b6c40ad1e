/**
 * Between the protobuf message of a tensor and the one Tensor view, whatever form the file
 * stores the elements in. Source: TensorProto in the ONNX IR specification.
 */
import { create } from '@bufbuild/protobuf';
import { type ErrorPlace, PareError } from '../errors.js';
import type { ByteSource } from './byte-source.js';
import { byteLengthOf, dataTypeFromCode, dataTypes, elementCount } from './data-type.js';
import { TensorProto_DataLocation, type TensorProto, TensorProtoSchema } from './schema/onnx_pb.js';
import { Tensor, bytesOf } from './tensor.js';

export function tensorFromProto(
  proto: TensorProto,
  externals: ReadonlyMap<string, ByteSource>,
  where: ErrorPlace = {},
): Tensor {
  const dataType = dataTypeFromCode(proto.dataType);
  if (!dataType) throw new PareError('invalid-model', `onnx: unknown data type ${proto.dataType}`, where);
  const dims = proto.dims.map(Number);
  const count = elementCount(dims);
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const entry = new Map(proto.externalData.map(({ key, value }) => [key, value]));
    const location = entry.get('location') ?? '';
    const source = externals.get(location)!;
    const offset = Number(entry.get('offset') ?? 0);
    const byteLength = byteLengthOf(dataType, count);
    return new Tensor(dataType, dims, { kind: 'range', source, offset, byteLength, location }, proto);
  }
  if (dataType === 'string') return new Tensor(dataType, dims, { kind: 'strings', strings: proto.stringData }, proto);
  let bytes: Uint8Array;
  if (Object.hasOwn(proto, 'rawData')) bytes = proto.rawData;
  else if (dataType === 'float') bytes = bytesOf(Float32Array.from(proto.floatData));
  else if (dataType === 'double') bytes = bytesOf(Float64Array.from(proto.doubleData));
  else if (dataType === 'int64') bytes = bytesOf(BigInt64Array.from(proto.int64Data));
  else if (dataType === 'uint64') bytes = bytesOf(BigUint64Array.from(proto.uint64Data));
  else if (dataType === 'uint32') bytes = bytesOf(Uint32Array.from(proto.uint64Data, Number));
  else {
    const array = dataTypes[dataType].bits < 8 ? Uint8Array : dataTypes[dataType].array!;
    const out = new array(proto.int32Data.length);
    proto.int32Data.forEach((v, i) => { (out as unknown as number[])[i] = v; });
    bytes = bytesOf(out);
  }
  if (bytes.byteLength !== byteLengthOf(dataType, count)) {
    throw new PareError('invalid-model', `onnx: tensor holds ${bytes.byteLength} bytes, its dims [${dims}] of ${dataType} need ${byteLengthOf(dataType, count)}`, where);
  }
  return new Tensor(dataType, dims, { kind: 'bytes', bytes }, proto);
}

export function tensorToProto(tensor: Tensor, name: string): TensorProto {
  return create(TensorProtoSchema, {
    ...(name !== '' && { name }),
    dims: tensor.dims.map(BigInt),
    dataType: dataTypes[tensor.dataType].code,
    ...(tensor.origin?.docString ? { docString: tensor.origin.docString } : {}),
  });
}

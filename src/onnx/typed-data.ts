/**
 * The typed data fields of a TensorProto (float_data, int32_data and their kin): which one holds
 * which data type, and their numbers as bytes in raw_data layout. They come as arrays of numbers
 * (messages made in memory) or in wire form (messages from a file, see decode.ts), where
 * float_data and double_data are the bytes themselves.
 * Source: comments on TensorProto in the ONNX specification's onnx.proto.
 */
import type { UnknownField } from '@bufbuild/protobuf';
import { type DataType, dataTypes } from './data-type.js';
import type { TensorProto } from './schema/onnx_pb.js';
import { countVarints, readVarint, readVarints, wireTypes } from './wire.js';

export type TypedField = 'float_data' | 'int32_data' | 'int64_data' | 'double_data' | 'uint64_data';

interface TypedFieldInfo {
  readonly number: number;
  readonly local: 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data';
  /** Bytes of a number on the wire; 0 for varints. */
  readonly wireBytes: 0 | 4 | 8;
}

export const typedFields: Readonly<Record<TypedField, TypedFieldInfo>> = Object.freeze({
  float_data: { number: 4, local: 'floatData', wireBytes: 4 },
  int32_data: { number: 5, local: 'int32Data', wireBytes: 0 },
  int64_data: { number: 7, local: 'int64Data', wireBytes: 0 },
  double_data: { number: 10, local: 'doubleData', wireBytes: 8 },
  uint64_data: { number: 11, local: 'uint64Data', wireBytes: 0 },
});

export const typedFieldNumbers: ReadonlySet<number> = new Set(
  Object.values(typedFields).map(({ number }) => number),
);

/** The field for numbers of a type; undefined for strings. */
export function typedFieldOf(dataType: DataType): TypedField | undefined {
  switch (dataType) {
    case 'string':
      return undefined;
    case 'float':
    case 'complex64':
      return 'float_data';
    case 'double':
    case 'complex128':
      return 'double_data';
    case 'int64':
      return 'int64_data';
    case 'uint32':
    case 'uint64':
      return 'uint64_data';
    default:
      return 'int32_data'; // narrow integers, bool, and bit patterns of floats below 32 bits
  }
}

/**
 * How many numbers a field must hold for `count` elements: complex elements take two, and
 * sub-byte elements share one number per byte.
 */
export function typedLength(dataType: DataType, count: number): number {
  const { kind, bits } = dataTypes[dataType];
  if (kind === 'complex') return 2 * count;
  return bits < 8 ? Math.ceil((count * bits) / 8) : count;
}

/** The typed fields that hold anything, with how many numbers. */
export function filledFields(proto: TensorProto): Map<TypedField, number> {
  const filled = new Map<TypedField, number>();
  for (const [field, info] of Object.entries(typedFields) as [TypedField, TypedFieldInfo][]) {
    let count = proto[info.local]?.length ?? 0;
    for (const record of recordsOf(proto, info)) count += countNumbers(record, info);
    if (count > 0) filled.set(field, count);
  }
  return filled;
}

/**
 * The numbers of a field as raw_data would hold them: little-endian, of the data type's width
 * (low bits of each number), sub-byte types packed. `count` is what `filledFields` said. A view
 * of the file where its layout is the same.
 */
export function typedBytes(
  proto: TensorProto,
  field: TypedField,
  dataType: DataType,
  count: number,
): Uint8Array {
  const info = typedFields[field];
  const records = recordsOf(proto, info);
  if (info.wireBytes > 0) return fixedBytes(proto, info, records, count);
  return varintBytes(proto, info, records, count, dataTypes[dataType].bits);
}

function fixedBytes(
  proto: TensorProto,
  info: TypedFieldInfo,
  records: readonly UnknownField[],
  count: number,
): Uint8Array {
  const first = records[0];
  const numbers = (proto[info.local] ?? []) as readonly number[];
  if (numbers.length === 0 && records.length === 1 && first) return payload(first);
  const out = new Uint8Array(count * info.wireBytes);
  const array = info.wireBytes === 4 ? Float32Array.from(numbers) : Float64Array.from(numbers);
  out.set(new Uint8Array(array.buffer));
  let at = array.byteLength;
  for (const record of records) {
    const bytes = payload(record);
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

function varintBytes(
  proto: TensorProto,
  info: TypedFieldInfo,
  records: readonly UnknownField[],
  count: number,
  bits: number,
): Uint8Array {
  const words = bits === 64 ? 2 : 1;
  const Out = bits <= 8 ? Uint8Array : bits === 16 ? Uint16Array : Uint32Array;
  const out = new Out(count * words);
  let at = 0;
  for (const number of proto[info.local] ?? []) {
    if (typeof number === 'number') {
      out[at++] = number;
      continue;
    }
    out[at++] = Number(number & 0xffffffffn);
    if (words === 2) out[at++] = Number((number >> 32n) & 0xffffffffn);
  }
  for (const record of records) at = readVarints(payload(record), out, at, words);
  return new Uint8Array(out.buffer);
}

function recordsOf(proto: TensorProto, info: TypedFieldInfo): readonly UnknownField[] {
  return proto.$unknown?.filter(({ no }) => no === info.number) ?? [];
}

/** The bytes of a record without the length that a packed one starts with. */
function payload({ wireType, data }: UnknownField): Uint8Array {
  if (wireType !== wireTypes.lengthDelimited) return data;
  return data.subarray(readVarint(data, 0, data.length)?.next ?? 0);
}

function countNumbers(record: UnknownField, info: TypedFieldInfo): number {
  const bytes = payload(record);
  if (info.wireBytes > 0) return bytes.length / info.wireBytes;
  return countVarints(bytes, 0, bytes.length);
}

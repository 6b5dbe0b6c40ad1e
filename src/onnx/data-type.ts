/**
 * The element types of ONNX tensors: their codes in the file, their width in bits, and the
 * typed array that holds them in memory. Names are those of ONNX's textual syntax.
 * Source: TensorProto.DataType in the ONNX specification, up to opset 25 (int2, uint2).
 */

export type DataType =
  | 'float'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'string'
  | 'bool'
  | 'float16'
  | 'double'
  | 'uint32'
  | 'uint64'
  | 'complex64'
  | 'complex128'
  | 'bfloat16'
  | 'float8e4m3fn'
  | 'float8e4m3fnuz'
  | 'float8e5m2'
  | 'float8e5m2fnuz'
  | 'uint4'
  | 'int4'
  | 'float4e2m1'
  | 'float8e8m0'
  | 'uint2'
  | 'int2';

/** Every array that can hold tensor elements in memory. float16 and bfloat16 stay 16-bit patterns. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array;

type TypedArrayConstructor = {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray;
};

export interface DataTypeInfo {
  /** The number in the file. */
  readonly code: number;
  /** Width of one element; 2 and 4 mean packed, low bits first; 0 means no fixed width. */
  readonly bits: number;
  /** The array for elements of this type; sub-byte types have one element per array entry. */
  readonly array: TypedArrayConstructor | undefined;
  readonly kind: 'float' | 'signed' | 'unsigned' | 'bool' | 'string' | 'complex';
}

const info = (
  code: number,
  bits: number,
  kind: DataTypeInfo['kind'],
  array?: TypedArrayConstructor,
): DataTypeInfo => Object.freeze({ code, bits, kind, array });

export const dataTypes: Readonly<Record<DataType, DataTypeInfo>> = Object.freeze({
  float: info(1, 32, 'float', Float32Array),
  uint8: info(2, 8, 'unsigned', Uint8Array),
  int8: info(3, 8, 'signed', Int8Array),
  uint16: info(4, 16, 'unsigned', Uint16Array),
  int16: info(5, 16, 'signed', Int16Array),
  int32: info(6, 32, 'signed', Int32Array),
  int64: info(7, 64, 'signed', BigInt64Array),
  string: info(8, 0, 'string'),
  bool: info(9, 8, 'bool', Uint8Array),
  float16: info(10, 16, 'float', Uint16Array),
  double: info(11, 64, 'float', Float64Array),
  uint32: info(12, 32, 'unsigned', Uint32Array),
  uint64: info(13, 64, 'unsigned', BigUint64Array),
  complex64: info(14, 64, 'complex'),
  complex128: info(15, 128, 'complex'),
  bfloat16: info(16, 16, 'float', Uint16Array),
  float8e4m3fn: info(17, 8, 'float', Uint8Array),
  float8e4m3fnuz: info(18, 8, 'float', Uint8Array),
  float8e5m2: info(19, 8, 'float', Uint8Array),
  float8e5m2fnuz: info(20, 8, 'float', Uint8Array),
  uint4: info(21, 4, 'unsigned', Uint8Array),
  int4: info(22, 4, 'signed', Int8Array),
  float4e2m1: info(23, 4, 'float', Uint8Array),
  float8e8m0: info(24, 8, 'float', Uint8Array),
  uint2: info(25, 2, 'unsigned', Uint8Array),
  int2: info(26, 2, 'signed', Int8Array),
});

const byCode = new Map<number, DataType>(
  (Object.entries(dataTypes) as [DataType, DataTypeInfo][]).map(([name, { code }]) => [code, name]),
);

/** The data type with this code, or undefined for a code that the specification does not know. */
export function dataTypeFromCode(code: number): DataType | undefined {
  return byCode.get(code);
}

/** Bytes of `count` elements, sub-byte types packed, the last byte padded. Not for strings. */
export function byteLengthOf(dataType: DataType, count: number): number {
  return Math.ceil((count * dataTypes[dataType].bits) / 8);
}

/** Number of elements of a shape; a scalar has one. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** The smallest normal number of float32: what is nearer to zero has fewer bits, and is slow on some CPUs. */
export const smallestNormal = 2 ** -126;

/**
 * A tensor with constant content: an initializer or an attribute. Content stays where it is
 * (a view of the file, a range of an external file) until somebody asks for it.
 * Tensors are immutable; to change one, make a new one.
 */
import { PareError } from '../errors.js';
import type { ByteSource } from './byte-source.js';
import {
  byteLengthOf,
  type DataType,
  dataTypes,
  elementCount,
  type TypedArray,
} from './data-type.js';
import { float8ToFloat32 } from './float8.js';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from './float16.js';
import { packBits, unpackBits } from './packed.js';
import type { TensorProto } from './schema/onnx_pb.js';

/** Where the content is. Bytes are little-endian and packed as in TensorProto.raw_data. */
export type TensorContent =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'strings'; readonly strings: readonly Uint8Array[] }
  | {
      readonly kind: 'range';
      readonly source: ByteSource;
      readonly offset: number;
      readonly byteLength: number;
      /** External location as the file states it, kept for reports. */
      readonly location: string;
    };

export class Tensor {
  readonly dataType: DataType;
  readonly dims: readonly number[];
  readonly content: TensorContent;
  /** The protobuf message it was read from: carries doc strings, metadata and unknown fields. */
  readonly origin: TensorProto | undefined;

  /** @internal Use the static constructors, which check sizes. */
  constructor(
    dataType: DataType,
    dims: readonly number[],
    content: TensorContent,
    origin?: TensorProto,
  ) {
    this.dataType = dataType;
    this.dims = dims;
    this.content = content;
    this.origin = origin;
  }

  /**
   * From bytes as they stand in a file. Throws `invalid-model` when their number is wrong.
   * @example Tensor.raw('float', [2], new Uint8Array(8))
   */
  static raw(dataType: DataType, dims: readonly number[], bytes: Uint8Array): Tensor {
    const expected = byteLengthOf(dataType, elementCount(dims));
    if (dataType === 'string' || bytes.byteLength !== expected) {
      throw new PareError(
        'invalid-model',
        `tensor: ${bytes.byteLength} bytes given, ${dataType}[${dims}] needs ${expected}`,
      );
    }
    return new Tensor(dataType, dims, { kind: 'bytes', bytes });
  }

  /**
   * From one array entry per element. Numbers are converted to the data type: float16 and
   * bfloat16 are encoded when `values` are float numbers, and taken as bit patterns when they
   * are a Uint16Array; sub-byte integers are packed.
   * @example Tensor.of('int64', [2], [3, 4])
   */
  static of(
    dataType: DataType,
    dims: readonly number[],
    values: TypedArray | readonly (number | bigint)[],
  ): Tensor {
    const count = elementCount(dims);
    if (values.length !== count) {
      throw new PareError(
        'usage',
        `tensor: ${values.length} values given, dims [${dims}] need ${count}`,
      );
    }
    return Tensor.raw(dataType, dims, encode(dataType, values));
  }

  static scalar(dataType: DataType, value: number | bigint): Tensor {
    return Tensor.of(dataType, [], [value]);
  }

  static strings(dims: readonly number[], strings: readonly string[]): Tensor {
    const encoder = new TextEncoder();
    return new Tensor('string', dims, {
      kind: 'strings',
      strings: strings.map((text) => encoder.encode(text)),
    });
  }

  /** Number of elements; a scalar has one. */
  get size(): number {
    return elementCount(this.dims);
  }

  /** Bytes of the content as stored. */
  get byteLength(): number {
    const { content } = this;
    if (content.kind === 'strings') return content.strings.reduce((sum, s) => sum + s.length, 0);
    return content.kind === 'bytes' ? content.bytes.byteLength : content.byteLength;
  }

  /** The content, read when it is outside: a view where it is in memory already. */
  async bytes(): Promise<Uint8Array> {
    const { content } = this;
    if (content.kind === 'bytes') return content.bytes;
    if (content.kind === 'range') {
      return content.source.slice(content.offset, content.offset + content.byteLength);
    }
    throw new PareError('unsupported', 'tensor: strings have no raw bytes; use text()');
  }

  /** One array entry per element; float16 and bfloat16 as bit patterns, sub-byte types unpacked. */
  async array(): Promise<TypedArray> {
    return decode(this.dataType, this.size, await this.bytes());
  }

  /** All elements as float32 numbers, whatever the numeric type. Not for strings and complex. */
  async floats(): Promise<Float32Array> {
    return toFloat32(this.dataType, await this.array());
  }

  /** All elements as JavaScript numbers. int64 beyond 2^53 loses low bits, which keeps "to the end" of Slice. */
  async numbers(): Promise<number[]> {
    const array = await this.array();
    if (dataTypes[this.dataType].kind === 'float') {
      return Array.from(array instanceof Float64Array ? array : toFloat32(this.dataType, array));
    }
    return Array.from(array as ArrayLike<number | bigint>, Number);
  }

  /** The strings of a string tensor. */
  text(): string[] {
    if (this.content.kind !== 'strings') {
      throw new PareError('unsupported', `tensor: ${this.dataType} holds no strings`);
    }
    const decoder = new TextDecoder();
    return this.content.strings.map((bytes) => decoder.decode(bytes));
  }

  /** The same content under other dims of the same element count. Shares the bytes. */
  reshape(dims: readonly number[]): Tensor {
    if (elementCount(dims) !== this.size) {
      throw new PareError('usage', `tensor: cannot view [${this.dims}] as [${dims}]`);
    }
    return new Tensor(this.dataType, dims, this.content);
  }
}

/** Elements of a typed array as float32 numbers, by the data type that they are of. */
export function toFloat32(dataType: DataType, array: TypedArray): Float32Array {
  if (dataType === 'float') return array as Float32Array;
  if (dataType === 'float16') return float16ToFloat32(array as Uint16Array);
  if (dataType === 'bfloat16') return bfloat16ToFloat32(array as Uint16Array);
  const { kind, bits } = dataTypes[dataType];
  if (kind === 'float' && bits < 16) return float8ToFloat32(dataType, array as Uint8Array);
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) {
    return Float32Array.from(array as unknown as ArrayLike<bigint>, Number);
  }
  return Float32Array.from(array as Exclude<TypedArray, BigInt64Array | BigUint64Array>);
}

function decode(dataType: DataType, count: number, bytes: Uint8Array): TypedArray {
  const { array, bits, kind } = dataTypes[dataType];
  if (!array) {
    throw new PareError('unsupported', `tensor: elements of type ${dataType} are not readable`);
  }
  if (bits < 8) return unpackBits(bytes, count, bits, kind === 'signed');
  // Not bytes.slice(): the slice of a Node Buffer is a view, as unaligned as before.
  const aligned = bytes.byteOffset % array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new array(aligned.buffer, aligned.byteOffset, count);
}

function encode(dataType: DataType, values: TypedArray | readonly (number | bigint)[]): Uint8Array {
  const { array, bits, kind } = dataTypes[dataType];
  if (!array) {
    throw new PareError('unsupported', `tensor: elements of type ${dataType} are not writable`);
  }
  if (values instanceof array && bits >= 8) return bytesOf(values);
  if (bits < 8) {
    const numbers = typeof values[0] === 'bigint' ? Array.from(values, Number) : values;
    return packBits(numbers as ArrayLike<number>, bits);
  }
  if (dataType === 'float16') return bytesOf(float32ToFloat16(asFloat32(values)));
  if (dataType === 'bfloat16') return bytesOf(float32ToBfloat16(asFloat32(values)));
  if (kind === 'float' && bits < 16) {
    throw new PareError('usage', `tensor: ${dataType} takes bit patterns in a Uint8Array`);
  }
  const out = new array(values.length);
  const big = out instanceof BigInt64Array || out instanceof BigUint64Array;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    (out as Record<number, number | bigint>)[i] = big ? BigInt(value) : Number(value);
  }
  return bytesOf(out);
}

function asFloat32(values: TypedArray | readonly (number | bigint)[]): Float32Array {
  return values instanceof Float32Array
    ? values
    : Float32Array.from(values as ArrayLike<number | bigint>, Number);
}

/** The bytes behind a typed array, as a view. */
export function bytesOf(array: TypedArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

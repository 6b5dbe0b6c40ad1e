/**
 * Element types of samples: any stored type to plain numbers, numbers to the type that a model's
 * input wants. Integers that fit stay exact; a value that does not fit is an error, never clamped.
 */
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { type DataType, dataTypes, type TypedArray } from '../onnx/data-type.js';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from '../onnx/float16.js';
import { roundHalfEven } from './image.js';

/** Typed arrays whose elements are numbers and mean themselves. */
export type NumberArray = Exclude<TypedArray, BigInt64Array | BigUint64Array>;

/** The elements as numbers: 16-bit floats decoded, 64-bit integers rounded to doubles. */
export function toNumbers({ dataType, data }: HostTensor): NumberArray {
  if (dataType === 'float16') return float16ToFloat32(data as Uint16Array);
  if (dataType === 'bfloat16') return bfloat16ToFloat32(data as Uint16Array);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return Float64Array.from(data as BigInt64Array, Number);
  }
  return data as NumberArray;
}

/**
 * The tensor with elements of another type. Fractions round half to even where integers are
 * wanted. Throws `data-mismatch`, with the value and its place, where a value does not fit.
 */
export function castTensor(tensor: HostTensor, to: DataType, id: string): HostTensor {
  if (tensor.dataType === to) return tensor;
  const { array, kind, bits } = dataTypes[to];
  if (!array || kind === 'string' || kind === 'complex' || bits < 8 || /^float8/.test(to)) {
    throw new PareError(
      'unsupported',
      `data: samples cannot be turned into ${to} (sample "${id}")`,
    );
  }
  return { dataType: to, dims: tensor.dims, data: castData(tensor, to, id) };
}

function castData(tensor: HostTensor, to: DataType, id: string): TypedArray {
  if (to === 'int64' || to === 'uint64') return toBigInts(tensor, to, id);
  const values = toNumbers(tensor);
  switch (to) {
    case 'float':
      return Float32Array.from(values);
    case 'double':
      return Float64Array.from(values);
    case 'float16':
      return float32ToFloat16(values instanceof Float32Array ? values : Float32Array.from(values));
    case 'bfloat16':
      return float32ToBfloat16(values instanceof Float32Array ? values : Float32Array.from(values));
    case 'bool':
      return Uint8Array.from(values, (x) => (x === 0 ? 0 : 1));
    default:
      return toIntegers(values, to, id);
  }
}

function toIntegers(values: NumberArray, to: DataType, id: string): TypedArray {
  const { array, bits, kind } = dataTypes[to];
  const low = kind === 'signed' ? -(2 ** (bits - 1)) : 0;
  const high = 2 ** (kind === 'signed' ? bits - 1 : bits) - 1;
  const out = new array!(values.length);
  for (let i = 0; i < values.length; i++) {
    const rounded = roundHalfEven(values[i]!);
    if (!(rounded >= low && rounded <= high)) throw misfit(values[i]!, i, to, id);
    out[i] = rounded;
  }
  return out;
}

function toBigInts(tensor: HostTensor, to: 'int64' | 'uint64', id: string): TypedArray {
  const limit = 2 ** (to === 'int64' ? 63 : 64);
  const low = to === 'int64' ? -limit : 0;
  const { data } = tensor;
  const out = to === 'int64' ? new BigInt64Array(data.length) : new BigUint64Array(data.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) {
      if (data[i]! < low || data[i]! >= limit) throw misfit(Number(data[i]), i, to, id);
      out[i] = data[i]!;
    }
    return out;
  }
  const values = toNumbers(tensor);
  for (let i = 0; i < values.length; i++) {
    const rounded = roundHalfEven(values[i]!);
    if (!(rounded >= low && rounded < limit)) throw misfit(values[i]!, i, to, id);
    out[i] = BigInt(rounded);
  }
  return out;
}

function misfit(value: number, index: number, to: DataType, id: string): PareError {
  return new PareError(
    'data-mismatch',
    `data: value ${value} (element ${index} of sample "${id}") does not fit the model's input type ${to}`,
    { hint: 'check "scale", "mean" and "std": integer inputs usually want the preset "raw"' },
  );
}

/**
 * Small helpers for tensors outside the graph: make one with its checks, read one as numbers,
 * compare shapes, and make seeded inputs for a model. Pure functions; no runtime is called.
 */
import { PareError } from '../errors.js';
import { type DataType, dataTypes, elementCount, type TypedArray } from '../onnx/data-type.js';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from '../onnx/float16.js';
import { createRandom, type Random } from '../random.js';
import type { HostTensor, PortInfo } from './engine.js';
import { describePort } from './ort-types.js';

/**
 * A tensor over this array, which is kept and not copied.
 * Throws `data-mismatch` when the array is not the one of the type (`dataTypes[t].array`) or its
 * length is not the product of the dims.
 *
 * @example hostTensor('float', [2, 3], new Float32Array(6))
 */
export function hostTensor(
  dataType: DataType,
  dims: readonly number[],
  data: TypedArray | readonly string[],
): HostTensor {
  const wrongDim = dims.find((dim) => !Number.isInteger(dim) || dim < 0);
  if (wrongDim !== undefined) {
    throw new PareError('data-mismatch', `tensor: ${wrongDim} in dims [${dims.join(',')}]`, {
      hint: 'dims are whole numbers from 0; set symbolic ones before',
    });
  }
  const expected = dataTypes[dataType].array;
  const fits = expected === undefined ? dataType === 'string' : data instanceof expected;
  if (!fits || ArrayBuffer.isView(data) === (dataType === 'string')) {
    const needs = expected?.name ?? (dataType === 'string' ? 'an array of strings' : 'no array');
    throw new PareError(
      'data-mismatch',
      `tensor: ${dataType} needs ${needs}, got ${data.constructor.name}`,
    );
  }
  const count = elementCount(dims);
  if (data.length !== count) {
    throw new PareError(
      'data-mismatch',
      `tensor: the array has ${data.length} elements, dims [${dims.join(',')}] need ${count}`,
    );
  }
  return { dataType, dims: [...dims], data };
}

/**
 * The elements as numbers in float32. float16 and bfloat16 are exact; int32, int64 and double
 * round to the nearest float32; bool reads 0 and 1. A float tensor returns its own array.
 * Throws `unsupported` for strings, complex numbers and the packed and 8-bit float types.
 */
export function float32Of(tensor: HostTensor): Float32Array {
  const { dataType, data } = tensor;
  if (data instanceof Float32Array) return data;
  if (data instanceof Uint16Array) {
    if (dataType === 'float16') return float16ToFloat32(data);
    if (dataType === 'bfloat16') return bfloat16ToFloat32(data);
  }
  const { kind, bits } = dataTypes[dataType];
  const readable = kind === 'signed' || kind === 'unsigned' || kind === 'bool' || bits === 64;
  if (!ArrayBuffer.isView(data) || !readable || kind === 'complex') {
    throw new PareError('unsupported', `tensor: ${dataType} cannot be read as float32`);
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const out = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) out[i] = Number(data[i]!);
    return out;
  }
  return Float32Array.from(data);
}

/** Whether both have the same rank and the same dims. */
export function sameShape(
  a: { readonly dims: readonly number[] },
  b: { readonly dims: readonly number[] },
): boolean {
  return a.dims.length === b.dims.length && a.dims.every((dim, axis) => dim === b.dims[axis]);
}

export interface RandomFeedsOptions {
  /** Default 0. The same seed gives the same feeds on every machine. */
  readonly seed?: number;
  /**
   * What to put for a dimension that the model leaves open: by its name ('batch'), or all dims of
   * an input by the name of the input. An open first dimension is 1 otherwise, any other is 8.
   */
  readonly dims?: Readonly<Record<string, number | readonly number[]>>;
}

/** What an open dimension that is not the first gets. */
const openDim = 8;

/**
 * Seeded inputs for a model, to try it out or to time it: float types are standard normal,
 * integers uniform in 0 to 9, bool 0 or 1, strings single letters.
 * Throws `unsupported` for an input that is no tensor or of a type that cannot be fed.
 *
 * @example randomFeeds(session.inputs, { seed: 1, dims: { batch: 4, mask: [4, 16] } })
 */
export function randomFeeds(
  ports: readonly PortInfo[],
  options: RandomFeedsOptions = {},
): Record<string, HostTensor> {
  const random = createRandom(options.seed ?? 0);
  return Object.fromEntries(
    ports.map((port) => {
      const { name, dataType } = port;
      const dims = chooseDims(port, options.dims ?? {});
      if (dataType === undefined || dims === undefined) {
        throw new PareError('unsupported', `random feeds: the input ${describePort(port)}`, {
          hint: 'only tensors can be made at random; give this input a value of your own',
        });
      }
      return [name, hostTensor(dataType, dims, fill(dataType, elementCount(dims), random, port))];
    }),
  );
}

function chooseDims(port: PortInfo, chosen: NonNullable<RandomFeedsOptions['dims']>) {
  const whole = chosen[port.name];
  if (typeof whole === 'object') return whole;
  return port.dims?.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    const given = chosen[dim];
    return typeof given === 'number' ? given : axis === 0 ? 1 : openDim;
  });
}

function fill(dataType: DataType, count: number, random: Random, port: PortInfo) {
  if (dataType === 'string') {
    return Array.from({ length: count }, () => String.fromCharCode(97 + random.int(26)));
  }
  const { kind, bits, array: ArrayOfType } = dataTypes[dataType];
  if (dataType === 'float16') {
    return float32ToFloat16(Float32Array.from({ length: count }, () => random.normal()));
  }
  const fillable = kind === 'float' ? bits >= 32 : kind !== 'complex' && bits >= 8;
  if (ArrayOfType === undefined || !fillable) {
    throw new PareError('unsupported', `random feeds: the input ${describePort(port)}`, {
      hint: `${dataType} cannot be fed; give the model a float input with a Cast after it`,
    });
  }
  const values = new ArrayOfType(count);
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    for (let i = 0; i < count; i++) values[i] = BigInt(random.int(10));
    return values;
  }
  const draw = () =>
    kind === 'float' ? random.normal() : kind === 'bool' ? random.int(2) : random.int(10);
  for (let i = 0; i < count; i++) values[i] = draw();
  return values;
}

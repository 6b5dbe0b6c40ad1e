/**
 * ONNX Runtime's JavaScript names of the element types, and tensors on the way to and from it.
 * Shared by the engines over onnxruntime-node and onnxruntime-web; imports only types of them.
 */
import type { Tensor } from 'onnxruntime-common';
import { PareError } from '../errors.js';
import { type DataType, dataTypes, elementCount, type TypedArray } from '../onnx/data-type.js';
import type { Feeds, HostTensor, PortInfo } from './engine.js';

const ortNames: Partial<Record<DataType, Tensor.Type>> = Object.freeze({
  float: 'float32',
  double: 'float64',
  float16: 'float16',
  int8: 'int8',
  uint8: 'uint8',
  int16: 'int16',
  uint16: 'uint16',
  int32: 'int32',
  uint32: 'uint32',
  int64: 'int64',
  uint64: 'uint64',
  bool: 'bool',
  string: 'string',
  int4: 'int4',
  uint4: 'uint4',
});

const dataTypesByOrtName = new Map<Tensor.Type, DataType>(
  (Object.entries(ortNames) as [DataType, Tensor.Type][]).map(([dataType, name]) => [
    name,
    dataType,
  ]),
);

/** Whether the runtime's JavaScript has a name for the type; without one a session has no ports. */
export function isOrtType(dataType: DataType): boolean {
  return ortNames[dataType] !== undefined;
}

/** The data type of a tensor that the runtime hands out; undefined for a value that is no tensor. */
export function dataTypeOfOrt(type: Tensor.Type | undefined): DataType | undefined {
  return type === undefined ? undefined : dataTypesByOrtName.get(type);
}

/** A tensor as ORT's constructor takes it, its data copied into memory of its own. */
export interface OrtTensorParts {
  readonly type: Tensor.Type;
  readonly dims: readonly number[];
  readonly data: TypedArray | string[];
}

/**
 * Copies a tensor for the runtime.
 * Throws `unsupported` for a type that cannot cross the border and `data-mismatch` when the array
 * is not of the type or its length is not that of the dims.
 */
export function copyForOrt(name: string, tensor: HostTensor): OrtTensorParts {
  const { dataType, dims, data } = tensor;
  const type = ortNames[dataType];
  if (type === undefined || dataTypes[dataType].bits === 4) {
    throw new PareError('unsupported', `engine: a ${dataType} tensor cannot be fed`, {
      tensor: name,
      hint: 'feed float and let a Cast or QuantizeLinear in the graph make the type',
    });
  }
  const count = elementCount(dims);
  if (data.length !== count) {
    throw new PareError(
      'data-mismatch',
      `engine: the array has ${data.length} elements, dims [${dims.join(',')}] need ${count}`,
      { tensor: name },
    );
  }
  if (!ArrayBuffer.isView(data)) {
    if (dataType === 'string') return { type, dims, data: [...data] };
    throw wrongArray(name, dataType, 'an array of strings');
  }
  const ArrayOfType = dataTypes[dataType].array;
  if (ArrayOfType === undefined || !(data instanceof ArrayOfType)) {
    throw wrongArray(name, dataType, `a ${data.constructor.name}`);
  }
  // Neither the buffer of a view nor one that is shared may go to the runtime: copy the elements.
  const copy = new ArrayOfType(count);
  (copy as { set(from: TypedArray): void }).set(data);
  return { type, dims, data: copy };
}

function wrongArray(name: string, dataType: DataType, got: string): PareError {
  const expected = dataTypes[dataType].array?.name ?? 'an array of strings';
  return new PareError('data-mismatch', `engine: ${dataType} needs ${expected}, got ${got}`, {
    tensor: name,
  });
}

/** The inverse of `copyForOrt`, without a copy. float16 must already be 16-bit patterns. */
export function fromOrt(parts: OrtTensorParts): HostTensor {
  const dataType = dataTypeOfOrt(parts.type);
  if (dataType === undefined) {
    throw new PareError('unsupported', `engine: a result of type ${parts.type} cannot be read`, {
      hint: 'fetch another output, or add a Cast to float after this one',
    });
  }
  return { dataType, dims: [...parts.dims], data: parts.data };
}

/** Throws `data-mismatch` where the feeds do not fit the inputs, naming both shapes. */
export function checkFeeds(inputs: readonly PortInfo[], feeds: Feeds): void {
  const names = inputs.map(({ name }) => name);
  for (const name of Object.keys(feeds)) {
    if (names.includes(name)) continue;
    throw new PareError('data-mismatch', `run: the model has no input "${name}"`, {
      hint: `its inputs are ${names.map((each) => `"${each}"`).join(', ') || 'none'}`,
    });
  }
  for (const input of inputs) {
    const feed = feeds[input.name];
    if (feed === undefined) {
      throw new PareError('data-mismatch', `run: no tensor for the input ${describePort(input)}`);
    }
    const typeFits = input.dataType === undefined || input.dataType === feed.dataType;
    if (typeFits && dimsFit(input.dims, feed.dims)) continue;
    const given = `${feed.dataType}[${feed.dims.join(',')}]`;
    throw new PareError('data-mismatch', `run: the input ${describePort(input)} is fed ${given}`);
  }
}

function dimsFit(expected: PortInfo['dims'], given: readonly number[]): boolean {
  // [] may also mean that the rank is not known.
  if (expected === undefined || expected.length === 0) return true;
  if (expected.length !== given.length) return false;
  return expected.every((dim, axis) => typeof dim === 'string' || dim === given[axis]);
}

/** Such as `"x" float[N,3,224,224]`; an unknown dimension is `?`. */
export function describePort({ name, dataType, dims }: PortInfo): string {
  const shape = dims?.map((dim) => (dim === '' ? '?' : dim)).join(',') ?? '?';
  return `"${name}" ${dataType ?? 'of no tensor type'}[${shape}]`;
}

/**
 * Samples out of anything that can be iterated, such as a user's module. Iterated once and held
 * in memory, because passes go over the data several times and in any order.
 */
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { bytesSource } from '../onnx/byte-source.js';
import { type DataType, dataTypes, elementCount, type TypedArray } from '../onnx/data-type.js';
import { fingerprintSource } from './fingerprint.js';
import { nestedTensor } from './nested-tensor.js';
import type { RawSample, RawSource } from './raw-source.js';

/**
 * What an iteration may yield: a tensor, typed array, nested array or number for the only input;
 * `{ inputs: { name: value }, label, id }`; or `{ name: value, label }`.
 */
export type IterableSample = unknown;

export type SampleIterable = Iterable<IterableSample> | AsyncIterable<IterableSample>;

/** Held values may take this much memory: an endless generator must come to an end. */
const maxHeldBytes = 2 ** 31;

/** Throws `invalid-data` for a value that is no sample, `usage` when the samples exceed 2 GiB. */
export async function iterableSource(iterable: SampleIterable, name: string): Promise<RawSource> {
  const samples: RawSample[] = [];
  let held = 0;
  for await (const yielded of iterable) {
    const sample = readSample(yielded, samples.length, name);
    for (const { data } of Object.values(sample.values)) held += (data as TypedArray).byteLength;
    samples.push(sample);
    if (held > maxHeldBytes) {
      throw new PareError('usage', `data: more than 2 GiB after ${samples.length} samples`, {
        file: name,
        hint: 'yield fewer samples, or write npy files, which are read row by row',
      });
    }
  }
  return {
    name,
    size: samples.length,
    kind: 'array',
    hasLabels: samples[0]?.label !== undefined,
    notes: [],
    read: async (index) => samples[index]!,
    fingerprint: () => fingerprintSamples(samples),
  };
}

function readSample(yielded: unknown, index: number, file: string): RawSample {
  const id = String(index);
  const bare = toTensor(yielded);
  if (bare) return { id, values: { '': bare } };
  if (typeof yielded !== 'object' || yielded === null) throw notASample(yielded, index, file);
  const { label, id: ownId, ...rest } = yielded as Record<string, unknown>;
  const named = 'inputs' in rest && toTensor(rest.inputs) === undefined ? rest.inputs : rest;
  const values: Record<string, HostTensor> = {};
  for (const [key, value] of Object.entries((named ?? {}) as object)) {
    const tensor = toTensor(value);
    if (!tensor) throw notASample(value, index, file, key);
    values[key] = tensor;
  }
  if (Object.keys(values).length === 0) throw notASample(yielded, index, file);
  if (label != null && !(Number.isInteger(label) && (label as number) >= 0)) {
    throw notASample(label, index, file, 'label');
  }
  return {
    id: ownId === undefined ? id : String(ownId),
    values,
    label: (label as number | null | undefined) ?? undefined,
  };
}

/** A tensor, `{ data, dims }`, a typed array (one axis), numbers; undefined for anything else. */
function toTensor(value: unknown): HostTensor | undefined {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const dataType = typeOf(value as TypedArray);
    const data = value as TypedArray;
    return dataType && { dataType, dims: [data.length], data: plain(data) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return nestedTensor(value);
  }
  const { data, dims, dataType } = value as Partial<HostTensor>;
  if (!ArrayBuffer.isView(data) || !Array.isArray(dims)) return undefined;
  const type = dataType ?? typeOf(data as TypedArray);
  const fits = type !== undefined && elementCount(dims) === (data as TypedArray).length;
  const isRightArray =
    type !== undefined && plain(data as TypedArray) instanceof (dataTypes[type]?.array ?? Array);
  return fits && isRightArray
    ? { dataType: type, dims, data: plain(data as TypedArray) }
    : undefined;
}

/** Clamped bytes are bytes. */
function plain(data: TypedArray): TypedArray {
  return (data as unknown) instanceof Uint8ClampedArray
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : data;
}

function typeOf(data: TypedArray): DataType | undefined {
  const array = plain(data).constructor;
  const types: readonly DataType[] = [
    'float',
    'double',
    'uint8',
    'int8',
    'uint16',
    'int16',
    'uint32',
    'int32',
    'int64',
    'uint64',
  ];
  return types.find((type) => dataTypes[type].array === array);
}

function notASample(value: unknown, index: number, file: string, key?: string): PareError {
  const what = key === undefined ? 'value' : `"${key}"`;
  const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
  return new PareError(
    'invalid-data',
    `data: the ${what} of sample ${index} is ${kind} that cannot be used`,
    {
      file,
      hint: 'yield { inputs: { NAME: { data: Float32Array, dims: [3,224,224] } }, label: 0 }',
    },
  );
}

/** The names, shapes, labels and elements of all samples, in order. */
async function fingerprintSamples(samples: readonly RawSample[]): Promise<string> {
  const digests: string[] = [];
  for (const { values, label } of samples) {
    for (const [key, { dataType, dims, data }] of Object.entries(values)) {
      const { buffer, byteOffset, byteLength } = data as TypedArray;
      const content = await fingerprintSource(
        bytesSource(new Uint8Array(buffer, byteOffset, byteLength)),
      );
      digests.push(JSON.stringify([key, dataType, dims, label ?? null, content]));
    }
  }
  return fingerprintSource(bytesSource(new TextEncoder().encode(digests.join('\n'))));
}

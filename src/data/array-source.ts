/**
 * Samples out of arrays whose first axis counts them: npz, npy, IDX. Finds the labels among the
 * arrays; reads rows when they are asked for.
 */
import type { HostTensor, PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import type { ArrayReader } from './array-reader.js';
import { toNumbers } from './convert.js';
import { labelNames, type RawSource } from './raw-source.js';

export interface ArraySourceOptions {
  readonly name: string;
  readonly ports?: readonly PortInfo[] | undefined;
  readonly fingerprint: () => Promise<string>;
}

/**
 * 'y', 'label' or 'labels' are class indices unless an input of the model has that name.
 * Throws `invalid-data` when the arrays count different numbers of samples.
 */
export async function arraySource(
  arrays: ReadonlyMap<string, ArrayReader>,
  { name, ports, fingerprint }: ArraySourceOptions,
): Promise<RawSource> {
  const isInput = (array: string) => ports?.some((port) => port.name === array) ?? false;
  const notes: string[] = [];
  const values = new Map<string, ArrayReader>();
  let labels: Int32Array | undefined;
  for (const [array, reader] of arrays) {
    if (reader.dims.length === 0) notes.push(`array "${array}" is a single number and is not used`);
    else if (isInput(array) || !labelNames.includes(array)) values.set(array, reader);
    else if (labels) notes.push(`array "${array}" is a second set of labels and is not used`);
    else labels = readLabels(await reader.all(), array, name);
  }
  const readers = [...values];
  if (readers.length === 0) {
    throw new PareError('invalid-data', 'data: no array of samples in it', { file: name });
  }
  const size = readers[0]![1].dims[0]!;
  const counts = readers.map(([array, { dims }]) => `"${array}" [${dims}]`);
  if (labels) counts.push(`labels [${labels.length}]`);
  if (readers.some(([, { dims }]) => dims[0] !== size) || (labels && labels.length !== size)) {
    throw new PareError(
      'invalid-data',
      `data: the arrays differ in their number of samples: ${counts.join(', ')}`,
      { file: name },
    );
  }
  return {
    name,
    size,
    kind: 'array',
    hasLabels: labels !== undefined,
    notes,
    async read(index) {
      const row: Record<string, HostTensor> = {};
      for (const [array, reader] of readers) row[array] = await reader.row(index);
      return { id: String(index), values: row, label: labels?.[index] };
    },
    fingerprint,
  };
}

/** One class index per sample: whole numbers from 0, dims [n] or [n,1]. */
export function readLabels(tensor: HostTensor, array: string, file: string): Int32Array {
  const { dims } = tensor;
  const values = toNumbers(tensor);
  if (values.length !== dims[0]) {
    throw new PareError(
      'invalid-data',
      `data: labels "${array}" have shape [${dims}]; one class index per sample is wanted`,
      { file, hint: 'turn one-hot labels into indices: labels.argmax(axis=1)' },
    );
  }
  const wrong = values.findIndex((x) => !Number.isInteger(x) || x < 0 || x > 2 ** 31 - 1);
  if (wrong >= 0) {
    throw new PareError(
      'invalid-data',
      `data: label ${values[wrong]} of sample ${wrong} ("${array}") is not a class index`,
      { file },
    );
  }
  return Int32Array.from(values);
}

/**
 * Samples to the feeds of a session: stacked along axis 0 as far as the model's inputs allow.
 */
import type { HostTensor, PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import type { Dataset, Sample } from './dataset.js';
import { describePort, fitsExactly, isBatched } from './fit-input.js';

export interface Batch {
  readonly feeds: Readonly<Record<string, HostTensor>>;
  /** Rows that are samples; rows after them repeat the last one to fill a fixed batch. */
  readonly count: number;
  /** One per sample, `count` of them; undefined where the data has none. */
  readonly labels: readonly (number | undefined)[];
  readonly ids: readonly string[];
}

export interface BatchOptions {
  /** Most samples per batch where the model leaves it open. Default 16. */
  readonly batchSize?: number | undefined;
  /** Samples and their order; default all. */
  readonly indices?: ArrayLike<number> | undefined;
}

/**
 * Batches in the order of the samples. A fixed batch dim rules over `batchSize`; an input
 * without a batch dim is fed one sample at a time; samples of another shape begin a new batch.
 * Throws `data-mismatch` for an input that the data does not provide, or a shape or type that
 * does not fit.
 *
 * @example
 * for await (const { feeds, count } of batches(dataset, session.inputs, { batchSize: 32 })) {
 *   const outputs = await session.run(feeds); // the first `count` rows are samples
 * }
 */
export async function* batches(
  dataset: Dataset,
  ports: readonly PortInfo[],
  options: BatchOptions = {},
): AsyncGenerator<Batch, void, undefined> {
  const { batchSize = 16, indices } = options;
  if (!(Number.isInteger(batchSize) && batchSize > 0)) {
    throw new PareError('usage', `data: batchSize is ${batchSize}, not a whole number above 0`);
  }
  let group: Row[] = [];
  for await (const sample of dataset.samples(indices)) {
    const row = readRow(sample, ports, dataset);
    if (group.length > 0 && group[0]!.shapes !== row.shapes) {
      yield assemble(group, ports);
      group = [];
    }
    group.push(row);
    if (group.length >= rowsPerBatch(row, ports, batchSize)) {
      yield assemble(group, ports);
      group = [];
    }
  }
  if (group.length > 0) yield assemble(group, ports);
}

interface Row {
  readonly sample: Sample;
  readonly inputs: Readonly<Record<string, HostTensor>>;
  /** All dims as text: rows stack when it is the same. */
  readonly shapes: string;
}

function readRow(sample: Sample, ports: readonly PortInfo[], dataset: Dataset): Row {
  const inputs: Record<string, HostTensor> = {};
  const only = ports.length === 1 ? sample.inputs[''] : undefined;
  for (const port of ports) {
    const tensor = sample.inputs[port.name] ?? only;
    if (tensor === undefined) throw missing(port, sample, dataset);
    if (
      !fitsExactly(tensor.dims, port.dims) ||
      (port.dataType && port.dataType !== tensor.dataType)
    ) {
      throw new PareError(
        'data-mismatch',
        `data: sample "${sample.id}" gives ${tensor.dataType} [${tensor.dims}]; the model's input is ${describePort(port)}`,
        { file: dataset.name, hint: 'open the data with this model\'s inputs as "ports"' },
      );
    }
    inputs[port.name] = tensor;
  }
  const shapes = ports.map(({ name }) => inputs[name]!.dims.join('x')).join(' ');
  return { sample, inputs, shapes };
}

function missing(port: PortInfo, sample: Sample, dataset: Dataset): PareError {
  const given = Object.entries(sample.inputs).map(
    ([name, { dataType, dims }]) => `"${name}" ${dataType} [${dims}]`,
  );
  return new PareError(
    'data-mismatch',
    `data: the model's input ${describePort(port)} is not in the data, which gives ${given.join(', ')}`,
    { file: dataset.name, hint: `add an array named "${port.name}"` },
  );
}

/** The fixed batch dim, 1 where an input has none, else what the caller wants. */
function rowsPerBatch(row: Row, ports: readonly PortInfo[], wanted: number): number {
  let fixed: number | undefined;
  for (const { name, dims } of ports) {
    if (!isBatched(row.inputs[name]!.dims, dims)) return 1;
    const batch = dims?.[0];
    if (typeof batch === 'number') fixed = Math.min(fixed ?? batch, batch);
  }
  return fixed ?? wanted;
}

function assemble(rows: readonly Row[], ports: readonly PortInfo[]): Batch {
  const feeds: Record<string, HostTensor> = {};
  for (const { name, dims } of ports) {
    const tensors = rows.map(({ inputs }) => inputs[name]!);
    if (!isBatched(tensors[0]!.dims, dims)) {
      feeds[name] = tensors[0]!;
      continue;
    }
    const batch = dims?.[0];
    const size = typeof batch === 'number' ? batch : rows.length;
    feeds[name] = stack(tensors, size);
  }
  return {
    feeds,
    count: rows.length,
    labels: rows.map(({ sample }) => sample.label),
    ids: rows.map(({ sample }) => sample.id),
  };
}

/** [size, ...dims]; rows beyond the tensors repeat the last. */
function stack(tensors: readonly HostTensor[], size: number): HostTensor {
  const { dataType, dims, data } = tensors[0]!;
  const row = (i: number) => tensors[Math.min(i, tensors.length - 1)]!.data;
  if (!ArrayBuffer.isView(data)) {
    const texts = Array.from({ length: size }, (_, i) => row(i) as readonly string[]).flat();
    return { dataType, dims: [size, ...dims], data: texts };
  }
  const from = data as Float32Array;
  const out = new (from.constructor as typeof Float32Array)(from.length * size);
  for (let i = 0; i < size; i++) out.set(row(i) as Float32Array, i * from.length);
  return { dataType, dims: [size, ...dims], data: out };
}

/**
 * A reader's raw samples, the preprocessing and the model's inputs, joined into a Dataset.
 * Knows no file format and no pixels.
 */
import type { HostTensor, PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { type Binding, bindInputs, unusedNames } from './bind-inputs.js';
import type { Dataset, Sample } from './dataset.js';
import { mapAhead } from './prefetch.js';
import { prepare } from './prepare.js';
import { describePreprocess, type Preprocess } from './preprocess.js';
import type { RawSample, RawSource } from './raw-source.js';

export interface MakeDatasetOptions {
  readonly ports?: readonly PortInfo[] | undefined;
  readonly preprocess: Preprocess;
  /** Samples that are read and decoded ahead of the consumer. */
  readonly prefetch: number;
}

/**
 * Prepares the first sample at once, so that data that does not fit is known before any work.
 * Throws `invalid-data` when there is no sample, `data-mismatch` when the first does not fit.
 */
export async function makeDataset(
  source: RawSource,
  options: MakeDatasetOptions,
): Promise<Dataset> {
  if (source.size === 0) {
    throw new PareError('invalid-data', 'data: there is no sample in it', { file: source.name });
  }
  const { preprocess, ports, prefetch } = options;
  const first = await source.read(0);
  const bindings = bindInputs(Object.keys(first.values), ports, source.kind);
  finish(first, source, options);
  const unused = unusedNames(Object.keys(first.values), bindings);
  const notes = unused.map((name) => `array "${name}" feeds no input of the model and is not used`);
  return {
    name: source.name,
    size: source.size,
    hasLabels: source.hasLabels,
    classes: mapClasses(source.classes, preprocess),
    parts: source.parts,
    preprocessing: describePreprocess(preprocess),
    notes: [...source.notes, ...notes],
    samples(indices) {
      const order = checkIndices(indices, source);
      return mapAhead(order, async (i) => finish(await source.read(i), source, options), prefetch);
    },
    fingerprint: () => source.fingerprint(),
  };
}

function finish(raw: RawSample, source: RawSource, options: MakeDatasetOptions): Sample {
  const bindings = bindInputs(Object.keys(raw.values), options.ports, source.kind);
  const inputs: Record<string, HostTensor> = {};
  for (const { from, to, port } of bindings) {
    const value = { tensor: raw.values[from]!, isImage: source.kind === 'image' };
    const steps = isPrimary(value.tensor, bindings, port) ? options.preprocess : {};
    inputs[to] = prepare(value, steps, port, raw.id);
  }
  return { id: raw.id, inputs, label: mapLabel(raw, options.preprocess) };
}

/** Among several inputs the preprocessing is for the numbers, not for token ids and masks. */
function isPrimary(
  tensor: HostTensor,
  bindings: readonly Binding[],
  port: PortInfo | undefined,
): boolean {
  const type = port?.dataType ?? tensor.dataType;
  return bindings.length === 1 || !/^(u?int(32|64)|bool)$/.test(type);
}

function mapLabel({ id, label }: RawSample, { labelMap }: Preprocess): number | undefined {
  if (label === undefined || labelMap == null) return label;
  const mapped = labelMap[label];
  if (mapped === undefined) {
    throw new PareError(
      'data-mismatch',
      `data: label ${label} of sample "${id}" is not in "labelMap", which has ${labelMap.length} entries`,
    );
  }
  return mapped;
}

/** Class names move with their labels. */
function mapClasses(classes: readonly string[] | undefined, { labelMap }: Preprocess) {
  if (!classes || labelMap == null) return classes;
  const mapped = new Array<string>(Math.max(...labelMap) + 1).fill('');
  labelMap.forEach((to, from) => void (mapped[to] = classes[from] ?? ''));
  return mapped;
}

function checkIndices(indices: ArrayLike<number> | undefined, { size, name }: RawSource) {
  if (indices === undefined) return Array.from({ length: size }, (_, i) => i);
  const order = Array.from(indices);
  const wrong = order.find((i) => !(Number.isInteger(i) && i >= 0 && i < size));
  if (wrong !== undefined) {
    throw new PareError('usage', `data: sample ${wrong} was asked of ${size} samples`, {
      file: name,
    });
  }
  return order;
}

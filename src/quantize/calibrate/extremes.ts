/**
 * The extremes of values over samples, by reductions inside the graph. A sample is an index of the
 * batch axis, whatever else came with it in a run, so means over samples do not depend on how the
 * samples were batched; sums are exact, so nothing depends on their order.
 */
import type { HostTensor } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Value } from '../../graph/value.js';
import { type Dim, tensorType } from '../../graph/value-type.js';
import { type DataType, dataTypes } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { ExactSum } from './exact-sum.js';

export type Results = Readonly<Record<string, HostTensor>>;

export interface Extremes {
  min: number;
  max: number;
  readonly sumMin: ExactSum;
  readonly sumMax: ExactSum;
  samples: number;
  elements: number;
}

export interface ExtremesPort {
  readonly name: string;
  /** Outputs of the probe: one number per sample of the run, or one in all. */
  readonly min: string;
  readonly max: string;
  /** Whether the value has the batch axis. */
  readonly perSample: boolean;
}

/** One run over samples, for errors and means. */
export interface Run {
  /** Samples that came before it. */
  readonly first: number;
  /** Samples in it. */
  readonly count: number;
}

/**
 * The dim that tells samples apart: the first of the first input that is fed, by the convention of
 * the data reader. Undefined for one sample per run, and where the dim has no name.
 */
export function batchDim(model: Model): Dim {
  const input = model.graph.inputs.find(({ initializer }) => !initializer);
  const dim = input?.dims?.[0];
  return dim === 1 ? undefined : dim;
}

export function addExtremes(value: Value, batch: Dim): ExtremesPort {
  const { dims } = value;
  // A number may stand on other axes too by chance; a symbol does not.
  const found = batch === undefined ? -1 : (dims?.indexOf(batch) ?? -1);
  const axis = typeof batch === 'number' && found !== 0 ? -1 : found;
  const others = axis < 0 ? undefined : dims!.map((_, at) => at).filter((at) => at !== axis);
  return {
    name: value.name,
    min: addReduction(value, 'ReduceMin', others),
    max: addReduction(value, 'ReduceMax', others),
    perSample: axis >= 0,
  };
}

/** NaN when one of the elements is, which the extremes of ONNX Runtime pass over (1.30). */
export function addNaNProbe(value: Value): string {
  return addReduction(value, 'ReduceL1');
}

export function addSize(value: Value): string {
  return addOutput(value, 'Size', {}, 'int64', []);
}

/** The value as float16. */
export function addHalf(value: Value): string {
  return addOutput(value, 'Cast', { to: dataTypes.float16.code }, 'float16');
}

/**
 * A reduction over these axes, over all without any; the axes themselves are gone after it. Gives
 * the name of the new output of the graph.
 */
export function addReduction(value: Value, opType: string, axes?: readonly number[]): string {
  // No axes at all would mean all of them.
  if (axes?.length === 0) return addOutput(value, 'Identity', {}, 'float');
  if (!axes) return addOutput(value, opType, { keepdims: 0 }, 'float', []);
  const { graph } = value;
  // The axes became an input with opset 18 (of ReduceSum with 13, which is not used here).
  if ((graph.opset() ?? 13) < 18) return addOutput(value, opType, { keepdims: 0, axes }, 'float');
  const input = graph.addInitializer('axes', Tensor.of('int64', [axes.length], axes));
  return addOutput(value, opType, { keepdims: 0 }, 'float', undefined, [input]);
}

function addOutput(
  value: Value,
  opType: string,
  attributes: Record<string, number | readonly number[]>,
  dataType: DataType,
  dims?: readonly number[],
  more: readonly Value[] = [],
): string {
  const { graph } = value;
  const output = graph.addNode({ opType, inputs: [value, ...more], attributes }).output();
  output.type = tensorType(dataType, dims);
  graph.outputs.push(output);
  return output.name;
}

/**
 * Takes one run in. A value without the batch axis (a table of positions, or what a Reshape made
 * of all samples together) has one range in every run, which counts for each of its samples.
 * @param size elements of the value in this run
 */
export function widen(
  extremes: Map<string, Extremes>,
  { name, min: minName, max: maxName, perSample }: ExtremesPort,
  results: Results,
  size: number,
  run: Run,
): void {
  if (size === 0) return;
  const mins = float32Of(results[minName]!);
  const maxs = float32Of(results[maxName]!);
  let seen = extremes.get(name);
  if (!seen) {
    const sums = { sumMin: new ExactSum(), sumMax: new ExactSum() };
    const none = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
    extremes.set(name, (seen = { ...none, ...sums, samples: 0, elements: 0 }));
  }
  const weight = perSample ? 1 : run.count;
  for (let at = 0; at < mins.length; at++) {
    const [min, max] = [mins[at]!, maxs[at]!];
    if (!Number.isFinite(min) || !Number.isFinite(max)) {
      throw notFinite(name, run, perSample ? at : undefined);
    }
    seen.min = Math.min(seen.min, min);
    seen.max = Math.max(seen.max, max);
    seen.sumMin.add(min, weight);
    seen.sumMax.add(max, weight);
    seen.samples += weight;
  }
  seen.elements += size;
}

/** @param at the sample's place in the run, where that is known */
export function notFinite(name: string, { first, count }: Run, at?: number): PareError {
  const sample = at ?? (count === 1 ? 0 : undefined);
  const where =
    sample === undefined
      ? `one of the samples ${first} to ${first + count - 1}`
      : `sample ${first + sample}`;
  return new PareError(
    'invalid-model',
    `calibrate: "${name}" is NaN or infinite on ${where}, so it has no range`,
    {
      tensor: name,
      hint: 'exclude the nodes around it with --exclude, or check the preprocessing',
    },
  );
}

/**
 * One pass over the samples that sees every unit of every layer: statistics of its outputs, its
 * highest output on each sample and where, and how units vary together. Reductions inside of the
 * graph; what comes back is a number per unit and sample.
 *
 * Covariances are centred within a batch and joined by the formula of Chan, Golub and LeVeque (1983):
 * sums of raw products in float32 would lose what is left of two units that are nearly one.
 */
import { float32Of } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Value } from '../graph/value.js';
import { activationBounds, type Bounds } from '../ops/activation-bounds.js';
import type { Layer } from './layers.js';
import type { Rows, Subject } from './subject.js';
import { scoreRows, targetsOf } from './target.js';
import { byUnit, signalOf } from './unit-view.js';

/** Layers wider than this are not correlated: the matrix would be larger than the layer. */
export const mostCorrelated = 2048;

/** Of one layer. Arrays by sample have a row of units per sample, in the order of the samples. */
export interface LayerObservation {
  /** Mean per index of the layer's axis: what an ablated unit is replaced by. */
  readonly indexMeans: Float64Array;
  /** Of the signal, per unit: over samples and places. */
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly smallest: Float64Array;
  readonly largest: Float64Array;
  readonly zeroShare: Float64Array;
  readonly saturatedShare: Float64Array | undefined;
  /** Mean over the places of a sample, samples by units. */
  readonly sampleMeans: Float32Array;
  /** Highest over the places of a sample, and where. */
  readonly peaks: Float32Array;
  readonly places: Int32Array;
  /** Units by units; undefined for layers that are too wide. */
  readonly covariance: Float64Array | undefined;
  /** Sizes of the axes but the batch and that of the units, of the last batch. */
  readonly positions: readonly number[];
}

export interface Observation {
  readonly layers: ReadonlyMap<Layer, LayerObservation>;
  readonly samples: number;
  /** By sample. */
  readonly loss: Float64Array;
  readonly hits: Float64Array;
  readonly predicted: Int32Array;
  /** Targets of each batch of rows. */
  readonly targets: readonly Int32Array[];
}

export async function observe(subject: Subject, data: readonly Rows[]): Promise<Observation> {
  const samples = data.reduce((sum, { count }) => sum + count, 0);
  const model = cloneModel(subject.model);
  const { graph } = model;
  const bounds = new Map<Layer, Bounds | undefined>();
  for (const layer of subject.layers) bounds.set(layer, await boundsOf(layer));
  const probes = subject.layers.map((layer) => new Probe(layer, bounds.get(layer), samples));
  const logits = graph.value(subject.target.logits);
  const e = new Emitter(graph, { scope: 'explain' });
  const names = probes.map((probe) => probe.append(e, graph.value(probe.layer.value.name)));
  const outputs = names.flatMap((each) => Object.values(each)).map((name) => graph.value(name));
  graph.outputs.splice(0, graph.outputs.length, ...new Set([logits, ...outputs]));
  const session = await subject.engine.createSession(await modelSource(model), {
    signal: subject.signal,
  });
  const task = subject.context.progress.task('explain: activations', samples);
  const result = {
    loss: new Float64Array(samples),
    hits: new Float64Array(samples),
    predicted: new Int32Array(samples),
  };
  const targets: Int32Array[] = [];
  let done = 0;
  try {
    for (const rows of data) {
      throwIfAborted(subject.context.signal);
      const results = await session.run(rows.feeds);
      const own = results[logits.name]!;
      const wanted = targetsOf(subject.target, rows.feeds, rows.labels, own);
      const scores = scoreRows(subject.target, float32Of(own), own.dims[0]!, wanted);
      targets.push(wanted);
      for (const key of ['loss', 'hits', 'predicted'] as const)
        result[key].set(scores[key].subarray(0, rows.count), done);
      probes.forEach((probe, at) => {
        const read = (name: string) => results[name]!;
        probe.add(names[at]!, read, done, rows.count);
      });
      done += rows.count;
      task.update(done);
    }
  } finally {
    task.end();
    await session.release();
  }
  const layers = new Map(probes.map((probe) => [probe.layer, probe.result()]));
  return { layers, samples, ...result, targets };
}

async function boundsOf({ value }: Layer): Promise<Bounds | undefined> {
  return value.producer && (await activationBounds(value.producer));
}

type Read = (
  name: string,
) => { readonly dims: readonly number[] } & Parameters<typeof float32Of>[0];
type Names = Readonly<Record<string, string>>;

class Probe {
  readonly layer: Layer;
  readonly #bounds: Bounds | undefined;
  readonly #units: number;
  readonly #indexMeans: Float64Array;
  readonly #mean: Float64Array;
  readonly #products: Float64Array;
  readonly #isFull: boolean;
  readonly #smallest: Float64Array;
  readonly #largest: Float64Array;
  readonly #zeros: Float64Array;
  readonly #saturated: Float64Array | undefined;
  readonly #sampleMeans: Float32Array;
  readonly #peaks: Float32Array;
  readonly #places: Int32Array;
  #positions: readonly number[] = [];
  /** Places seen so far, and samples. */
  #count = 0;
  #samples = 0;

  constructor(layer: Layer, bounds: Bounds | undefined, samples: number) {
    const { units } = layer;
    this.layer = layer;
    this.#bounds = bounds;
    this.#units = units;
    this.#isFull = units <= mostCorrelated;
    this.#indexMeans = new Float64Array(layer.unitOf.length);
    this.#mean = new Float64Array(units);
    this.#products = new Float64Array(this.#isFull ? units * units : units);
    this.#smallest = new Float64Array(units).fill(Number.POSITIVE_INFINITY);
    this.#largest = new Float64Array(units).fill(Number.NEGATIVE_INFINITY);
    this.#zeros = new Float64Array(units);
    this.#saturated = bounds && new Float64Array(units);
    this.#sampleMeans = new Float32Array(samples * units);
    this.#peaks = new Float32Array(samples * units);
    this.#places = new Int32Array(samples * units);
  }

  /** Appends the reductions and returns the names of their outputs. */
  append(e: Emitter, value: Value): Names {
    const { layer } = this;
    const view = byUnit(e, value, layer);
    const signal = signalOf(e, view, layer);
    const others = Array.from({ length: layer.rank }, (_, at) => at).filter(
      (at) => at !== layer.axis,
    );
    const mean = e.reduce('ReduceMean', signal, [0, 2], true);
    const centred = e.reshape(e.transpose(e.sub(signal, mean), [1, 0, 2]), [0, -1]);
    const zero = e.cast(e.op('Equal', [view, e.scalar(0)]), 'float');
    const parts: Record<string, Value> = {
      dims: e.op('Shape', [value]),
      indexMeans: e.reduce('ReduceMean', value, others, false),
      mean: e.reshape(mean, [-1]),
      products: this.#isFull
        ? e.op('MatMul', [centred, e.transpose(centred, [1, 0])])
        : e.reduce('ReduceSumSquare', centred, [1], false),
      smallest: e.reduce('ReduceMin', signal, [0, 2], false),
      largest: e.reduce('ReduceMax', signal, [0, 2], false),
      zeros: e.reduce('ReduceMean', zero, [0, 2, 3], false),
      sampleMeans: e.reduce('ReduceMean', signal, [2], false),
      peaks: e.reduce('ReduceMax', signal, [2], false),
      places: e.op('ArgMax', [signal], { axis: 2, keepdims: 0 }),
    };
    if (this.#bounds) {
      parts.saturated = e.reduce('ReduceMean', saturation(e, view, this.#bounds), [0, 2, 3], false);
    }
    return Object.fromEntries(Object.entries(parts).map(([key, { name }]) => [key, name]));
  }

  add(names: Names, read: Read, sample: number, count: number): void {
    const numbers = (key: string) => float32Of(read(names[key]!));
    const dims = [...numbers('dims')];
    this.#positions = dims.filter((_, axis) => axis !== 0 && axis !== this.layer.axis);
    const places = this.#positions.reduce((product, dim) => product * dim, dims[0]!);
    const share = count / (this.#samples + count);
    this.#samples += count;
    blend(this.#indexMeans, numbers('indexMeans'), share);
    blend(this.#zeros, numbers('zeros'), share);
    if (this.#saturated) blend(this.#saturated, numbers('saturated'), share);
    fold(this.#smallest, numbers('smallest'), Math.min);
    fold(this.#largest, numbers('largest'), Math.max);
    this.#join(numbers('mean'), numbers('products'), places);
    const at = sample * this.#units;
    const length = count * this.#units;
    this.#sampleMeans.set(numbers('sampleMeans').subarray(0, length), at);
    this.#peaks.set(numbers('peaks').subarray(0, length), at);
    this.#places.set(Int32Array.from(numbers('places').subarray(0, length)), at);
  }

  /** Two batches as one: M2 = M2a + M2b + (ma - mb)(ma - mb)' na nb / (na + nb). */
  #join(mean: Float32Array, products: Float32Array, places: number): void {
    const units = this.#units;
    const total = this.#count + places;
    const factor = (this.#count * places) / total;
    const gaps = this.#mean.map((own, unit) => mean[unit]! - own);
    for (let i = 0; i < units; i++) {
      if (this.#isFull) {
        for (let j = 0; j < units; j++) {
          this.#products[i * units + j]! += products[i * units + j]! + gaps[i]! * gaps[j]! * factor;
        }
      } else this.#products[i]! += products[i]! + gaps[i]! ** 2 * factor;
      this.#mean[i]! += (gaps[i]! * places) / total;
    }
    this.#count = total;
  }

  result(): LayerObservation {
    const units = this.#units;
    const covariance = this.#products.map((sum) => sum / Math.max(1, this.#count));
    const diagonal = (unit: number) => covariance[this.#isFull ? unit * units + unit : unit]!;
    return {
      indexMeans: this.#indexMeans,
      mean: this.#mean,
      variance: Float64Array.from({ length: units }, (_, unit) => diagonal(unit)),
      smallest: this.#smallest,
      largest: this.#largest,
      zeroShare: this.#zeros,
      saturatedShare: this.#saturated,
      sampleMeans: this.#sampleMeans,
      peaks: this.#peaks,
      places: this.#places,
      covariance: this.#isFull ? covariance : undefined,
      positions: this.#positions,
    };
  }
}

/** 1 where an output is within 1 % of the span of a bound that is not zero, the rest of a ReLU. */
function saturation(e: Emitter, view: Value, [low, high]: Bounds): Value {
  const span = Number.isFinite(high - low) ? high - low : 0;
  const tests: Value[] = [];
  if (Number.isFinite(high) && high !== 0)
    tests.push(e.op('GreaterOrEqual', [view, e.scalar(high - 0.01 * span)]));
  if (Number.isFinite(low) && low !== 0)
    tests.push(e.op('LessOrEqual', [view, e.scalar(low + 0.01 * span)]));
  if (tests.length === 0) return e.mul(view, 0);
  return e.cast(
    tests.reduce((a, b) => e.op('Or', [a, b])),
    'float',
  );
}

/** A running mean: `share` is what the new numbers weigh. */
function blend(mean: Float64Array, next: Float32Array, share: number): void {
  for (let i = 0; i < mean.length; i++) mean[i]! += (next[i]! - mean[i]!) * share;
}

function fold(
  into: Float64Array,
  next: Float32Array,
  combine: (a: number, b: number) => number,
): void {
  for (let i = 0; i < into.length; i++) into[i] = combine(into[i]!, next[i]!);
}

/**
 * Gathers the statistics of values over samples in one pass: the extremes as reductions inside the
 * graph, and for histograms the elements as float16, which are counted by their bit pattern while
 * the runtime computes the next sample. Values whose range float16 does not resolve get a second
 * pass over their floats. Tensors come back a bounded number of bytes at a time.
 *
 * Approaches tried (MobileNetV2, 100 images, CPU time of a sample, 16 ms of it the model's):
 * - extremes first, then histograms of the floats between them: 43 + 67 ms, and data read twice;
 * - the float16 of this file: 57 ms, more than 30 of it the collector's before tensors were freed
 *   by hand (engine/free-tensors.ts);
 * - counting inside the graph (ScatterElements, 20 ns per element): ten times as long;
 * - growing the histogram's range on the fly: bins depend on the order of the samples.
 */
import type { Engine, Feeds } from '../../engine/engine.js';
import { freeTensors } from '../../engine/free-tensors.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { inferShapes } from '../../engine/shapes.js';
import { PareError, throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import type { Value } from '../../graph/value.js';
import { type Dim, tensorType } from '../../graph/value-type.js';
import { type Progress, silent } from '../../progress.js';
import {
  addExtremes,
  addHalf,
  addNaNProbe,
  addSize,
  batchDim,
  type Extremes,
  notFinite,
  type Results,
  type Run,
  widen,
} from './extremes.js';
import { fitsHalf, HalfCounts } from './half-counts.js';
import {
  addToHistogram,
  type Histogram,
  histogramBins,
  storedCounts,
  type ValueStatistics,
} from './statistics.js';

export interface CollectOptions {
  /** Default true. Extremes alone are less work. */
  readonly histograms?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** Most bytes of tensors that one run hands back, by the sizes that the first sample has. */
const bytesPerRun = 64e6;
/** Most values that are counted together: 256 KiB of counts each. */
const valuesPerRun = 128;

/**
 * @param names float values of the main graph
 * @param samples called once per pass
 * @throws PareError `invalid-model` for a value that holds NaN or infinity, which has no range;
 *   `invalid-data` without any sample
 * @returns by name; values that were empty in every sample are left out
 */
export async function collectStatistics(
  model: Model,
  engine: Engine,
  names: readonly string[],
  samples: () => AsyncIterable<Feeds>,
  options: CollectOptions = {},
): Promise<Map<string, ValueStatistics>> {
  const statistics = new Map<string, ValueStatistics>();
  if (names.length === 0) return statistics;
  const pass = new Passes(await withShapes(model, engine, names), engine, samples, options);
  const keep = (extremes: ReadonlyMap<string, Extremes>, histograms: Map<string, Histogram>) => {
    for (const [name, { min, max, sumMin, sumMax, samples: count, elements }] of extremes) {
      const [meanMin, meanMax] = [sumMin.mean(count), sumMax.mean(count)];
      const histogram = histograms.get(name);
      statistics.set(name, { min, max, meanMin, meanMax, samples: count, elements, histogram });
    }
  };
  if (options.histograms === false) {
    keep(await pass.extremes(names), new Map());
    return statistics;
  }
  const sizes = await pass.sizes(names);
  for (const group of groupsOf(names, sizes, 2)) {
    const { extremes, histograms } = await pass.halves(group);
    const rest = [...extremes.keys()].filter((name) => !histograms.has(name));
    for (const part of groupsOf(rest, sizes, 4)) await pass.floats(part, extremes, histograms);
    keep(extremes, histograms);
  }
  return statistics;
}

/** The model, or a copy that knows the dims: they tell which axis of a value holds the samples. */
async function withShapes(model: Model, engine: Engine, names: readonly string[]): Promise<Model> {
  if (names.every((name) => model.graph.value(name).dims)) return model;
  const copy = cloneModel(model);
  await inferShapes(engine, copy);
  return copy;
}

/** Values whose tensors come back together, in order, below the limits (or alone above them). */
function groupsOf(
  names: readonly string[],
  sizes: ReadonlyMap<string, number>,
  bytesPerElement: number,
): string[][] {
  const groups: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const own = bytesPerElement * sizes.get(name)!;
    if (bytes + own > bytesPerRun || groups.at(-1)!.length >= valuesPerRun) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)!.push(name);
    bytes += own;
  }
  return groups;
}

/** The ways to go over the samples. */
class Passes {
  readonly #model: Model;
  readonly #engine: Engine;
  readonly #samples: () => AsyncIterable<Feeds>;
  readonly #progress: Progress;
  readonly #signal: AbortSignal | undefined;
  readonly #batch: Dim;

  constructor(
    model: Model,
    engine: Engine,
    samples: () => AsyncIterable<Feeds>,
    { progress = silent, signal }: CollectOptions,
  ) {
    this.#model = model;
    this.#engine = engine;
    this.#samples = samples;
    this.#progress = progress;
    this.#signal = signal;
    this.#batch = batchDim(model);
  }

  /** Samples in one run: what it feeds along the batch axis. */
  #samplesIn(feeds: Feeds): number {
    if (this.#batch === undefined) return 1;
    const input = this.#model.graph.inputs.find(({ initializer }) => !initializer)!;
    return feeds[input.name]?.dims[0] ?? 1;
  }

  /** Elements of each value in the first sample: by its dims, or by a run where they are open. */
  async sizes(names: readonly string[]): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    for await (const feeds of first(this.#samples())) {
      const symbols = symbolSizes(this.#model, feeds);
      for (const name of names) {
        const size = sizeOf(this.#model.graph.value(name).dims, symbols);
        if (size !== undefined) sizes.set(name, size);
      }
    }
    const open = names.filter((name) => !sizes.has(name));
    if (open.length === 0) return sizes;
    const { probe, values } = this.#probe(open);
    const ports = values.map((value) => ({ name: value.name, size: addSize(value) }));
    const fetches = ports.map(({ size }) => size);
    await this.#run(probe, fetches, first(this.#samples()), 'sizes', (results) => {
      for (const { name, size } of ports) sizes.set(name, Number(results[size]!.data[0]));
    });
    return sizes;
  }

  async extremes(names: readonly string[]): Promise<Map<string, Extremes>> {
    const { probe, values } = this.#probe(names);
    const ports = values.map((value) => ({
      ...addExtremes(value, this.#batch),
      size: addSize(value),
      sum: addNaNProbe(value),
    }));
    const extremes = new Map<string, Extremes>();
    const fetches = ports.flatMap(({ min, max, size, sum }) => [min, max, size, sum]);
    await this.#run(probe, fetches, this.#samples(), 'ranges', (results, run) => {
      for (const port of ports) {
        if (Number.isNaN(float32Of(results[port.sum]!)[0])) throw notFinite(port.name, run);
        widen(extremes, port, results, Number(results[port.size]!.data[0]), run);
      }
    });
    return extremes;
  }

  /** Extremes of all, and histograms of those whose range float16 resolves. */
  async halves(names: readonly string[]) {
    const { probe, values } = this.#probe(names);
    const ports = values.map((value) => ({
      ...addExtremes(value, this.#batch),
      codes: addHalf(value),
      counts: new HalfCounts(),
    }));
    const extremes = new Map<string, Extremes>();
    const fetches = ports.flatMap(({ min, max, codes }) => [min, max, codes]);
    await this.#run(probe, fetches, this.#samples(), 'histograms', (results, run) => {
      for (const port of ports) {
        const codes = results[port.codes]!.data as Uint16Array;
        widen(extremes, port, results, codes.length, run);
        port.counts.add(codes);
        // A maximum may or may not see a NaN; the patterns do.
        if (port.counts.hasNaN) throw notFinite(port.name, run);
      }
    });
    const histograms = new Map<string, Histogram>();
    for (const { name, counts } of ports) {
      const seen = extremes.get(name);
      if (seen && fitsHalf(seen)) histograms.set(name, counts.histogram(seen.min, seen.max));
    }
    return { extremes, histograms };
  }

  /** Histograms of floats between extremes that are known. */
  async floats(
    names: readonly string[],
    extremes: ReadonlyMap<string, Extremes>,
    histograms: Map<string, Histogram>,
  ): Promise<void> {
    const { probe, values } = this.#probe(names);
    for (const value of values) {
      if (!value.isOutput) probe.graph.outputs.push(value);
      value.type ??= tensorType('float');
    }
    const counted = names.map((name) => {
      const { min, max } = extremes.get(name)!;
      return { name, min, max, counts: new Float64Array(histogramBins), zeros: 0 };
    });
    await this.#run(probe, names, this.#samples(), 'histograms of floats', (results) => {
      for (const entry of counted) {
        const { name, min, max, counts } = entry;
        entry.zeros += addToHistogram(counts, float32Of(results[name]!), min, max);
      }
    });
    for (const { name, min, max, counts, zeros } of counted) {
      histograms.set(name, { low: min, high: max, counts: storedCounts(counts), zeros });
    }
  }

  /** A copy of the model to which outputs are added. */
  #probe(names: readonly string[]): { probe: Model; values: Value[] } {
    const probe = cloneModel(this.#model);
    return { probe, values: names.map((name) => probe.graph.value(name)) };
  }

  async #run(
    probe: Model,
    fetches: readonly string[],
    samples: AsyncIterable<Feeds>,
    label: string,
    take: (results: Results, run: Run) => void,
  ): Promise<void> {
    const session = await this.#engine.createSession(await modelSource(probe));
    const task = this.#progress.task(`calibrate: ${label}`);
    let done = 0;
    let first = 0;
    const finish = ({ results, count }: { results: Results; count: number }) => {
      take(results, { first, count });
      freeTensors(results);
      first += count;
      task.update(++done);
    };
    try {
      let running: Promise<{ results: Results; count: number }> | undefined;
      for await (const feeds of samples) {
        throwIfAborted(this.#signal);
        const previous = running;
        // The next run starts before the last one is counted: both threads stay busy.
        const count = this.#samplesIn(feeds);
        running = session.run(feeds, fetches).then((results) => ({ results, count }));
        running.catch(() => {});
        if (previous) finish(await previous);
      }
      if (running) finish(await running);
    } finally {
      task.end();
      await session.release();
    }
    if (done > 0) return;
    throw new PareError('invalid-data', 'calibrate: there is no sample', {
      hint: 'give samples with --data; a hundred are usually enough',
    });
  }
}

/** Sizes of the symbolic dims of the inputs in these feeds. */
function symbolSizes(model: Model, feeds: Feeds): ReadonlyMap<Dim, number> {
  const sizes = new Map<Dim, number>();
  for (const { name, dims } of model.graph.inputs) {
    for (const [axis, dim] of (dims ?? []).entries()) {
      const size = feeds[name]?.dims[axis];
      if (typeof dim === 'string' && size !== undefined) sizes.set(dim, size);
    }
  }
  return sizes;
}

function sizeOf(
  dims: readonly Dim[] | undefined,
  symbols: ReadonlyMap<Dim, number>,
): number | undefined {
  let size: number | undefined = dims && 1;
  for (const dim of dims ?? []) {
    const known = typeof dim === 'number' ? dim : symbols.get(dim);
    if (size === undefined || known === undefined) return undefined;
    size *= known;
  }
  return size;
}

async function* first<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const item of items) {
    yield item;
    return;
  }
}

/**
 * Candidates beside the original: the samples, the timing, and the numbers that decide.
 */
import { batches } from '../data/batches.js';
import type { Dataset } from '../data/dataset.js';
import { labelsOf, repeatableFeeds } from '../data/repeatable-feeds.js';
import { splitDataset } from '../data/split.js';
import type { Engine, Feeds, HostTensor, PortInfo } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { messageOf, PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { type BenchRow, bench } from '../measure/bench.js';
import { snrOf, worstOutput } from '../measure/compare-outputs.js';
import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import type { NamedModel } from '../measure/named-model.js';
import type { PassContext } from '../pass.js';
import type { Progress } from '../progress.js';
import { StatisticsCache } from '../quantize/calibrate/cache.js';
import { rawFeeds, readInputSpecs } from '../quantize/io/input-spec.js';
import { type OutputSpec, readOutputSpecs } from '../quantize/io/quantize-output.js';
import type { Candidate } from './candidate.js';
import type { Measured } from './choose.js';
import type { Measurable, Quality } from './promise.js';

/** The name of the unchanged model in every measurement. */
export const originalName = 'original';

/** Most samples that calibrate, and that the search for nodes to leave in float looks at. */
const searchSamples = 100;

export interface ChosenSamples {
  /** For the search; never among the evaluated ones. */
  readonly search: Uint32Array;
  readonly evaluate: Uint32Array;
}

export interface TrainingSplit extends ChosenSamples {
  /** Neither searched nor evaluated; none where nothing is trained. */
  readonly train: Uint32Array;
}

/**
 * Seeded and disjoint. A quarter of the data at most is kept for the search. Where something is
 * trained, a fifth of the rest evaluates, or the test part of data that has one.
 * Throws `invalid-data` when there are fewer than two samples.
 */
export function chooseSamples(
  dataset: Dataset,
  limit: number | undefined,
  seed: number,
  trains = false,
): TrainingSplit {
  if (dataset.size < 2) {
    const count = dataset.size === 1 ? '1 sample is' : `${dataset.size} samples are`;
    throw new PareError('invalid-data', `optimize: ${count} too few`, {
      file: dataset.name,
      hint: 'two at least, one to search with and one to measure on; hundreds tell a loss from chance',
    });
  }
  const { parts } = dataset;
  const test = parts?.test;
  const searchable = parts ? parts.train.end - parts.train.start : dataset.size;
  const search = Math.min(searchSamples, Math.ceil(dataset.size / 4), searchable);
  const rest = dataset.size - search;
  const left = test ? test.end - test.start : trains ? Math.ceil(rest / 5) : rest;
  const { calibrate, evaluate, train } = splitDataset(dataset, {
    calibrate: search,
    seed,
    evaluate: Math.min(limit ?? left, left),
    train: trains ? searchable - search - (parts ? 0 : left) : 0,
  });
  return { search: calibrate, train, evaluate };
}

/** What passes need to look at activations: the samples for the search, and what is known of them. */
export function calibrationContext(
  dataset: Dataset,
  ports: readonly PortInfo[],
  indices: Uint32Array,
): Pick<PassContext, 'samples' | 'labels' | 'statistics'> {
  return {
    samples: repeatableFeeds(dataset, ports, indices),
    labels: dataset.hasLabels ? labelsOf(dataset, indices) : undefined,
    statistics: new StatisticsCache(),
  };
}

/** Feeds of one sample, as the model is deployed: batch 1 where the model allows it. */
export async function feedsOfSample(
  dataset: Dataset,
  engine: Engine,
  model: NamedModel,
  index: number,
): Promise<Feeds> {
  const inputs = await portsOf(engine, model);
  for await (const { feeds } of batches(dataset, inputs, { batchSize: 1, indices: [index] })) {
    return feeds;
  }
  throw new PareError('invalid-data', 'optimize: there is no sample', { file: dataset.name });
}

/** The inputs of a model, as a session tells them. */
export async function portsOf(
  engine: Engine,
  { source }: NamedModel,
): Promise<readonly PortInfo[]> {
  const session = await engine.createSession(source, { optimization: 'disabled' });
  try {
    return session.inputs;
  } finally {
    await session.release();
  }
}

export interface TimingContext {
  readonly engine: Engine;
  readonly threads: number;
  readonly rounds: number;
  readonly memory: boolean;
  readonly signal: AbortSignal | undefined;
  readonly progress: Progress;
}

/** Runs the original on one sample, to know what can be promised before the long work. */
export async function measurable(
  original: NamedModel,
  dataset: Dataset,
  engine: Engine,
  indices: Uint32Array,
  signal: AbortSignal | undefined,
): Promise<Measurable> {
  const [first] = await evaluate([original], dataset, engine, {
    indices: indices.subarray(0, 1),
    signal,
  });
  const { task } = first!;
  return { classes: task !== 'generic', labels: task === 'tokens' || dataset.hasLabels };
}

/** Latency rows by name, the original first, all interleaved in one run. */
export async function timeModels(
  models: readonly NamedModel[],
  feeds: Feeds,
  { engine, threads, ...options }: TimingContext,
): Promise<Map<string, BenchRow>> {
  const { rows } = await bench(models, feeds, engine, {
    ...options,
    threads: [threads],
    warmup: 3,
  });
  return new Map(rows.map((row) => [row.model, row]));
}

export function namedModel({ name, source, model }: Candidate): NamedModel {
  return { name, source, ...bordersAs(model) };
}

/** How a model with integers at its borders is fed and read like the float model it was made of. */
export function bordersAs(model: Model): Pick<NamedModel, 'adapt' | 'restore'> {
  const inputs = readInputSpecs(model);
  const outputs = readOutputSpecs(model);
  return {
    ...(inputs.length > 0 && { adapt: (feeds) => rawFeeds(inputs, feeds) }),
    ...(outputs.length > 0 && { restore: (given) => floatOutputs(outputs, given) }),
  };
}

function floatOutputs(specs: readonly OutputSpec[], outputs: Feeds): Record<string, HostTensor> {
  const restored = { ...outputs };
  for (const { name, scale, zeroPoint } of specs) {
    const tensor = outputs[name];
    if (!tensor) continue;
    const data = float32Of(tensor).map((code) => (code - zeroPoint) * scale);
    restored[name] = { dataType: 'float', dims: tensor.dims, data };
  }
  return restored;
}

/**
 * Why the runtime does not take a model, found by running it once; undefined when it does. Errors
 * that are not the runtime's are thrown.
 */
export async function refusalOf(
  { source, adapt }: NamedModel,
  feeds: Feeds,
  engine: Engine,
): Promise<string | undefined> {
  try {
    const session = await engine.createSession(source);
    try {
      await session.run(adapt ? adapt(feeds) : feeds);
    } finally {
      await session.release();
    }
    return undefined;
  } catch (error) {
    const isRefused = error instanceof PareError && /^(engine|unsupported)$/.test(error.code);
    if (!isRefused) throw error;
    return messageOf(error);
  }
}

/** The numbers that a promise is about; the SNR is that of the output that agrees least. */
export function qualityOf(evaluation: Evaluation): Quality {
  const worst = worstOutput(evaluation.outputs);
  return {
    drop: evaluation.drop?.points,
    flips: evaluation.flips ? 100 * evaluation.flips.share : undefined,
    snr: worst ? snrOf(worst.agreement!) : undefined,
  };
}

export function measuredOf(
  { name, sizeBytes }: Candidate,
  rows: ReadonlyMap<string, BenchRow>,
  evaluation?: Evaluation,
): Measured {
  const speedUp = rows.get(name)?.speedUp;
  const [low, high] = speedUp?.interval ?? [speedUp?.ratio, speedUp?.ratio];
  return {
    name,
    sizeBytes,
    speedUp: speedUp ? { median: speedUp.ratio, low: low!, high: high! } : undefined,
    quality: evaluation ? qualityOf(evaluation) : {},
  };
}

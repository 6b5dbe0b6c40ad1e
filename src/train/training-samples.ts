/**
 * The samples of a training run in the order in which they are seen: shuffled anew in every epoch,
 * augmented where asked, decoded once where they fit into memory. All of it follows from the seed,
 * so that a resumed run goes on with the very samples of the uninterrupted one.
 */
import { type Batch, batches } from '../data/batches.js';
import type { Dataset, Sample } from '../data/dataset.js';
import type { Feeds, HostTensor, PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { permutation } from '../random.js';
import { type AugmentOptions, augmentImage, changesNothing, sampleSeed } from './augment.js';
import {
  type MixedBatch,
  type Mixing,
  type MixtureOptions,
  mixBatch,
  mixedShare,
} from './mixtures.js';

export interface TrainingSamplesOptions {
  readonly batchSize: number;
  /** Batches that one step takes. Default 1. */
  readonly accumulate?: number;
  readonly seed: number;
  readonly augment: AugmentOptions;
  /** Which of the samples are mixtures of two, see mixBatch. Default none. */
  readonly mixtures?: MixtureOptions;
}

/** Most bytes of decoded samples that stay in memory. */
const keptBytes = 1e9;

export class TrainingSamples {
  /** Steps of one epoch: whole batches and steps only, since a short one would weigh its samples more. */
  readonly stepsPerEpoch: number;
  readonly #dataset: Dataset;
  readonly #indices: Uint32Array;
  readonly #ports: readonly PortInfo[];
  readonly #options: TrainingSamplesOptions;
  /** Absent where no sample is a mixture. */
  readonly #mixing: Mixing | undefined;

  /**
   * @param indices the samples of the dataset that train
   * @param ports inputs of the model, with an open batch or one of `batchSize`
   * @throws PareError `invalid-data` when there are fewer samples than one batch takes
   */
  constructor(
    dataset: Dataset,
    indices: Uint32Array,
    ports: readonly PortInfo[],
    options: TrainingSamplesOptions,
  ) {
    const { batchSize, accumulate = 1 } = options;
    const wanted = batchSize * accumulate;
    if (indices.length < wanted) {
      const several = accumulate > 1 ? ` of ${accumulate} batches` : '';
      throw new PareError(
        'invalid-data',
        `train: ${indices.length} samples are fewer than one ${several ? 'step' : 'batch'}${several} of ${batchSize}`,
        { file: dataset.name, hint: 'lower --batch-size, or bring more samples' },
      );
    }
    this.#dataset = keepSamples(dataset, keptBytes);
    this.#indices = indices;
    this.#ports = ports;
    this.#options = options;
    const { mixtures, augment } = options;
    this.#mixing =
      mixtures && mixedShare(mixtures) > 0 ? { ...mixtures, layout: augment.layout } : undefined;
    this.stepsPerEpoch = Math.floor(indices.length / wanted);
  }

  /** True when every epoch shows the samples as they are. */
  get areUnchanged(): boolean {
    return changesNothing(this.#options.augment) && !this.#mixing;
  }

  /** All samples once, in the order of the data and as they are. */
  inOrder(): AsyncGenerator<Batch, void, undefined> {
    const indices = this.#indices.slice().sort();
    return batches(this.#dataset, this.#ports, { batchSize: this.#options.batchSize, indices });
  }

  /** The inputs of about so many samples, spread over the data and as they are. */
  async spread(count: number): Promise<Feeds[]> {
    const sorted = this.#indices.slice().sort();
    const every = Math.max(1, Math.floor(sorted.length / count));
    const indices = sorted.filter((_, at) => at % every === 0).slice(0, count);
    const { batchSize } = this.#options;
    const found: Feeds[] = [];
    for await (const batch of batches(this.#dataset, this.#ports, { batchSize, indices })) {
      found.push(batch.feeds);
    }
    return found;
  }

  /** Batches of an epoch, from the step `first` of it on. */
  async *epoch(epoch: number, first = 0): AsyncGenerator<MixedBatch, void, undefined> {
    const { batchSize, accumulate = 1, seed, augment } = this.#options;
    const perStep = batchSize * accumulate;
    const order = permutation(this.#indices.length, sampleSeed(seed, epoch, -1));
    const wanted = order
      .subarray(first * perStep, this.stepsPerEpoch * perStep)
      .map((at) => this.#indices[at]!);
    const source = changesNothing(augment)
      ? this.#dataset
      : augmented(this.#dataset, augment, (index) => sampleSeed(seed, epoch, index));
    const seen = { batchSize, indices: wanted };
    let at = first * accumulate;
    for await (const batch of batches(source, this.#ports, seen)) {
      if (batch.count !== batchSize) throw unequalShapes(this.#dataset, batch);
      // Numbers below -1 are of batches; those of samples begin at 0, and -1 shuffles.
      const mixSeed = sampleSeed(seed, epoch, -2 - at++);
      yield this.#mixing ? mixBatch(batch, this.#mixing, mixSeed) : batch;
    }
  }
}

function unequalShapes({ name }: Dataset, { count, ids }: Batch): PareError {
  return new PareError(
    'data-mismatch',
    `train: the samples differ in shape, "${ids[0]}" and ${count - 1} others end a batch early`,
    { file: name, hint: 'bring them to one shape, or train with --batch-size 1' },
  );
}

function augmented(
  dataset: Dataset,
  options: AugmentOptions,
  seedOf: (index: number) => number,
): Dataset {
  return {
    ...dataset,
    async *samples(indices) {
      const all = indices ?? Array.from({ length: dataset.size }, (_, index) => index);
      let at = 0;
      for await (const sample of dataset.samples(all)) {
        const seed = seedOf(all[at++]!);
        const inputs = Object.entries(sample.inputs).map(([name, tensor]) => [
          name,
          augmentImage(tensor, options, seed),
        ]);
        yield { ...sample, inputs: Object.fromEntries(inputs) };
      }
    },
  };
}

/** The same data; samples that were read stay in memory, as many as fit. */
export function keepSamples(dataset: Dataset, limitBytes: number): Dataset {
  const kept = new Map<number, Sample>();
  let bytes = 0;
  const keep = (index: number, sample: Sample) => {
    if (kept.has(index)) return;
    const size = Object.values(sample.inputs).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    if (bytes + size > limitBytes) return;
    kept.set(index, sample);
    bytes += size;
  };
  return {
    ...dataset,
    async *samples(indices) {
      const all = Array.from(indices ?? { length: dataset.size }, (given, at) => given ?? at);
      // What is known now decides what is read, whatever is kept meanwhile.
      const known = all.map((index) => kept.get(index));
      const missing = all.filter((_, at) => !known[at]);
      const read = dataset.samples(missing)[Symbol.asyncIterator]();
      try {
        for (const [at, index] of all.entries()) {
          let sample = known[at];
          if (!sample) {
            const next = await read.next();
            if (next.done) return;
            sample = next.value;
            keep(index, sample);
          }
          yield sample;
        }
      } finally {
        await read.return?.();
      }
    },
  };
}

function bytesOf({ data }: HostTensor): number {
  return ArrayBuffer.isView(data) ? data.byteLength : 16 * data.length;
}

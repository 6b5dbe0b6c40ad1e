/**
 * Statistics of every channel of values over samples: extremes, mean and mean square. Reductions
 * inside the graph, so that a few numbers per channel come back from a run and memory does not
 * grow with the samples. Independent of their order and batching up to the rounding of sums.
 */
import type { Engine, Feeds } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError, throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import type { Value } from '../../graph/value.js';
import { type Progress, silent } from '../../progress.js';
import { addReduction, addSize, notFinite, type Results, type Run } from './extremes.js';

export interface ChannelRequest {
  /** A float value of the main graph whose rank is known. */
  readonly name: string;
  /** The axis of the channels, such as 1 for [N,C,H,W]. */
  readonly axis: number;
}

/** One entry per channel in all. */
export interface ChannelValues {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly mean: Float64Array;
  /** E[x^2] */
  readonly meanSquare: Float64Array;
  /** Elements of one channel, all samples together. */
  readonly elements: number;
}

export interface CollectChannelsOptions {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/**
 * @throws PareError `invalid-model` for a value that holds NaN or infinity, with the sample;
 *   `invalid-data` without any sample
 * @returns by name; values that were empty in every sample are left out
 */
export async function collectChannels(
  model: Model,
  engine: Engine,
  requests: readonly ChannelRequest[],
  samples: () => AsyncIterable<Feeds>,
  { signal, progress = silent }: CollectChannelsOptions = {},
): Promise<Map<string, ChannelValues>> {
  const found = new Map<string, Sums>();
  if (requests.length === 0) return found;
  const probe = cloneModel(model);
  const ports = requests.map((request) => addPort(probe.graph.value(request.name), request));
  const fetches = ports.flatMap(({ outputs }) => Object.values(outputs));
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  const task = progress.task('calibrate: channels');
  let count = 0;
  try {
    for await (const feeds of samples()) {
      throwIfAborted(signal);
      const results = await session.run(feeds, fetches);
      for (const port of ports) take(found, port, results, { first: count, count: 1 });
      task.update(++count);
    }
  } finally {
    task.end();
    await session.release();
  }
  if (count === 0) {
    throw new PareError('invalid-data', 'calibrate: there is no sample', {
      hint: 'give samples with --data; a hundred are usually enough',
    });
  }
  for (const { mean, meanSquare, elements } of found.values()) {
    for (let channel = 0; channel < mean.length; channel++) {
      mean[channel]! /= elements;
      meanSquare[channel]! /= elements;
    }
  }
  return found;
}

/** Sums in place of the means, while samples come in. */
type Sums = { -readonly [Key in keyof ChannelValues]: ChannelValues[Key] };

interface Port {
  readonly name: string;
  /** Names of outputs of the probe. */
  readonly outputs: Readonly<Record<'min' | 'max' | 'mean' | 'meanSquare' | 'size', string>>;
}

function addPort(value: Value, { name, axis }: ChannelRequest): Port {
  const others = value.dims!.map((_, at) => at).filter((at) => at !== axis);
  const square = value.graph.addNode({ opType: 'Mul', inputs: [value, value] }).output();
  return {
    name,
    outputs: {
      min: addReduction(value, 'ReduceMin', others),
      max: addReduction(value, 'ReduceMax', others),
      mean: addReduction(value, 'ReduceMean', others),
      meanSquare: addReduction(square, 'ReduceMean', others),
      size: addSize(value),
    },
  };
}

function take(found: Map<string, Sums>, { name, outputs }: Port, results: Results, run: Run): void {
  const size = Number(results[outputs.size]!.data[0]);
  if (size === 0) return;
  const [min, max, mean, meanSquare] = (['min', 'max', 'mean', 'meanSquare'] as const).map((key) =>
    float32Of(results[outputs[key]]!),
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const channels = min.length;
  const elements = size / channels;
  let sums = found.get(name);
  if (!sums) {
    const fill = (start: number) => new Float64Array(channels).fill(start);
    const [least, most] = [fill(Number.POSITIVE_INFINITY), fill(Number.NEGATIVE_INFINITY)];
    sums = { min: least, max: most, mean: fill(0), meanSquare: fill(0), elements: 0 };
    found.set(name, sums);
  }
  for (let c = 0; c < channels; c++) {
    // The mean is NaN when an element is; the extremes of ONNX Runtime may pass over it.
    if (Number.isNaN(mean[c]) || !Number.isFinite(min[c]) || !Number.isFinite(max[c])) {
      throw notFinite(`${name}, channel ${c}`, run);
    }
    sums.min[c] = Math.min(sums.min[c]!, min[c]!);
    sums.max[c] = Math.max(sums.max[c]!, max[c]!);
    sums.mean[c]! += mean[c]! * elements;
    sums.meanSquare[c]! += meanSquare[c]! * elements;
  }
  sums.elements += elements;
}

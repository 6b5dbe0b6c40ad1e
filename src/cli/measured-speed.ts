/**
 * How fast a model that was just made runs beside the original, so that no command hands out one
 * that became slower without a word.
 */
import type { Dataset } from '../data/dataset.js';
import type { Engine, Feeds } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { PareError } from '../errors.js';
import { type BenchRow, bench } from '../measure/bench.js';
import type { NamedModel } from '../measure/named-model.js';
import { feedsOfSample, portsOf } from '../optimize/measuring.js';

export interface MeasuredSpeed {
  /** The original's row and the new model's; null where they could not be run. */
  readonly rows: readonly [BenchRow, BenchRow] | null;
  /** Why there are no rows. */
  readonly reason: string | null;
}

/** One thread, a sample of the data where there are any, random inputs where not. */
export async function measureSpeed(
  original: NamedModel,
  made: NamedModel,
  engine: Engine,
  options: {
    readonly dataset?: Dataset | undefined;
    readonly seed: number;
    readonly signal?: AbortSignal;
  },
): Promise<MeasuredSpeed> {
  const { dataset, seed, signal } = options;
  try {
    // Random floats do not stand for raw bytes: each model gets inputs of its own ports.
    const feeds: Feeds | Feeds[] = dataset
      ? await feedsOfSample(dataset, engine, original, 0)
      : [
          randomFeeds(await portsOf(engine, original), { seed }),
          randomFeeds(await portsOf(engine, made), { seed }),
        ];
    const settings = { threads: [1], rounds: 30, warmup: 3, maxMs: 5000, memory: false, signal };
    const { rows } = await bench([original, made], feeds, engine, settings);
    return { rows: [rows[0]!, rows[1]!], reason: null };
  } catch (error) {
    const runs = /^(engine|unsupported|data-mismatch)$/;
    if (!(error instanceof PareError && runs.test(error.code))) throw error;
    return { rows: null, reason: error.message };
  }
}

/** The new model is slower than the original beyond doubt. */
export function isSlower({ speedUp }: BenchRow): boolean {
  const high = speedUp?.interval?.[1] ?? speedUp?.ratio ?? 1;
  return high < 0.95;
}

/**
 * Statistics that were collected before on the same model and samples: searching for nodes to
 * leave in float quantizes one model many times, and calibrating it once is enough.
 */
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Tensor } from '../../onnx/tensor.js';
import { type PassContext, requireEngine } from '../../pass.js';
import type { ChannelMeans } from '../static/bias-correction.js';
import { collectStatistics } from './collect.js';
import { structureOf } from './model-hash.js';
import type { ValueStatistics } from './statistics.js';

interface Entry {
  readonly structure: string;
  readonly tensors: readonly (Tensor | undefined)[];
  readonly statistics: Map<string, ValueStatistics>;
  /** Channel means by value and parameters, see static/bias-correction.ts. */
  readonly means: Map<string, ChannelMeans>;
}

/** Belongs to one source of samples; lives as long as its owner keeps it. */
export class StatisticsCache {
  readonly #entries: Entry[] = [];

  /** The statistics known of this very model: the same nodes over the same weights. */
  entryFor(model: Model): Entry {
    const structure = structureOf(model);
    const tensors = [...model.graph.values].map(({ initializer }) => initializer);
    const known = this.#entries.find(
      (entry) =>
        entry.structure === structure &&
        entry.tensors.length === tensors.length &&
        entry.tensors.every((tensor, at) => tensor === tensors[at]),
    );
    if (known) return known;
    const entry: Entry = { structure, tensors, statistics: new Map(), means: new Map() };
    this.#entries.push(entry);
    return entry;
  }
}

/**
 * What the calibration table of the context says, then what the cache knows, then from samples.
 * Throws `usage` when all three are silent on a value.
 */
export async function cachedStatistics(
  model: Model,
  names: readonly string[],
  histograms: boolean,
  context: PassContext,
): Promise<ReadonlyMap<string, ValueStatistics>> {
  const table = context.calibration?.values;
  if (table) {
    const given = new Map(
      names.flatMap((name) => (table.has(name) ? [[name, table.get(name)!]] : [])),
    );
    const rest = names.filter((name) => !given.has(name));
    if (rest.length === 0) return given;
    if (!context.samples) throw notInTable(rest);
    const { calibration: _, ...others } = context;
    return new Map([...(await cachedStatistics(model, rest, histograms, others)), ...given]);
  }
  const entry = context.statistics?.entryFor(model);
  const known = entry?.statistics;
  const missing = names.filter((name) => {
    const seen = known?.get(name);
    return !seen || (histograms && !seen.histogram);
  });
  if (missing.length === 0) return known ?? new Map();
  if (!context.samples) {
    throw new PareError(
      'usage',
      'static quantization needs samples to find the ranges of activations',
      {
        hint: 'give data with --data PATH; labels are not needed',
      },
    );
  }
  const engine = requireEngine(context, 'calibrate');
  const collected = await collectStatistics(model, engine, missing, context.samples, {
    histograms,
    signal: context.signal,
    progress: context.progress,
  });
  if (!known) return collected;
  for (const [name, statistics] of collected) known.set(name, statistics);
  return known;
}

function notInTable(names: readonly string[]): PareError {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  const listed = names
    .slice(0, 3)
    .map((name) => `"${name}"`)
    .join(', ');
  return new PareError('usage', `the calibration table has nothing of ${listed}${more}`, {
    tensor: names[0],
    hint: 'it was made with other options or of another model: make it anew with --save-calibration, or give --data too',
  });
}

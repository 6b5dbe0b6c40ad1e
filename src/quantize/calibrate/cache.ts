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

/** Throws `usage` when there is neither a cache that knows them nor samples. */
export async function cachedStatistics(
  model: Model,
  names: readonly string[],
  histograms: boolean,
  context: PassContext,
): Promise<ReadonlyMap<string, ValueStatistics>> {
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

/** Everything that the nodes are and how they hang together, but for large attributes. */
function structureOf(model: Model): string {
  const lines: string[] = [];
  for (const node of model.graph.nodes) {
    const attributes = Array.from(node.attributes, ([name, { value }]) =>
      typeof value === 'object' && !Array.isArray(value) ? name : `${name}=${String(value)}`,
    );
    lines.push(
      `${node.op}(${node.inputs.join(',')})=>${node.outputs.join(',')} ${attributes.join(' ')}`,
    );
  }
  return lines.join('\n');
}

/**
 * How activations are spread, and the integers that a quantized model rounds them to. The
 * distribution is that of the float model, the grid that of the other. Changes no model.
 */
import type { Engine, Feeds } from '../engine/engine.js';
import type { Model } from '../graph/model.js';
import { roundingGrids } from '../ops/integer-grids.js';
import { collectStatistics } from '../quantize/calibrate/collect.js';
import type { Bins } from './layer-weights.js';
import { type ValueGrid, valueGrid } from './value-grids.js';

/** Plain JSON. */
export interface ActivationGrid {
  readonly value: string;
  /** The node that makes it; null for an input of the model. */
  readonly node: string | null;
  readonly samples: number;
  readonly min: number;
  readonly max: number;
  /** Share of exact zeros. */
  readonly zeros: number;
  readonly histogram: Bins;
  readonly grid: ValueGrid;
  /** Share of the elements beyond the ends of the grid by more than half a step. */
  readonly clipped: number;
}

/**
 * Values that `b` rounds and `a` computes under the same name, in the order of `a`.
 *
 * @param most values that are looked at, from the input on. Default 48
 * @param bins of a histogram. Default 64
 */
export async function activationGrids(
  a: Model,
  b: Model,
  engine: Engine,
  samples: () => AsyncIterable<Feeds>,
  { most = 48, bins = 64, signal }: { most?: number; bins?: number; signal?: AbortSignal } = {},
): Promise<ActivationGrid[]> {
  const grids = new Map<string, ValueGrid>();
  for (const node of b.graph.nodes) {
    const grid = Object.hasOwn(roundingGrids, node.op) ? roundingGrids[node.op]!(node) : undefined;
    const value = node.inputs[0];
    const shown = grid && value && (await valueGrid(grid));
    if (shown && !grids.has(value.name)) grids.set(value.name, shown);
  }
  const known = [...a.graph.values]
    .filter(({ name, constant, initializer }) => grids.has(name) && !constant && !initializer)
    .slice(0, most);
  const names = known.map(({ name }) => name);
  const statistics = await collectStatistics(a, engine, names, samples, { signal });
  return known.flatMap(({ name, producer }) => {
    const seen = statistics.get(name);
    const grid = grids.get(name)!;
    if (!seen?.histogram) return [];
    const { min, max, elements, samples: count } = seen;
    const { counts, zeros, low, high } = seen.histogram;
    const width = (high - low) / counts.length;
    let outside = 0;
    const coarse = new Array<number>(bins).fill(0);
    for (const [at, n] of counts.entries()) {
      const center = low + (at + 0.5) * width;
      if (center < grid.low - grid.step / 2 || center > grid.high + grid.step / 2) outside += n;
      coarse[Math.floor((at * bins) / counts.length)]! += n;
    }
    return {
      ...{ value: name, node: producer?.label ?? null, samples: count, min, max, grid },
      zeros: Math.min(1, zeros / Math.max(1, elements)),
      histogram: { low, high, counts: coarse },
      clipped: Math.min(1, outside / Math.max(1, elements)),
    };
  });
}

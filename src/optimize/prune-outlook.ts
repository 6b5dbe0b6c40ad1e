/**
 * What structured pruning could take out of a model: which widths are free, and what freezes the
 * others. Analyses a simplified copy; measures nothing.
 */
import type { Engine } from '../engine/engine.js';
import { messageOf, PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { analyzeCoupling } from '../prune/analyze-coupling.js';
import { simplify } from '../simplify/index.js';

/** Plain JSON. */
export interface PruneOutlook {
  /** Widths that can shrink, by the kind of their units: channels, heads ... */
  readonly free: readonly {
    readonly kind: string;
    readonly widths: number;
    readonly units: number;
  }[];
  /** Widths that cannot, by reason, most first. */
  readonly frozen: readonly { readonly reason: string; readonly widths: number }[];
  /** Why it was not found out. */
  readonly error: string | null;
}

export async function pruneOutlook(
  model: Model,
  engine: Engine,
  signal?: AbortSignal,
): Promise<PruneOutlook> {
  try {
    const context = { engine, signal };
    const { model: simple } = await simplify(model, { unshare: true }, context);
    const { families, frozen } = await analyzeCoupling(simple, {}, context);
    const free = new Map<string, { kind: string; widths: number; units: number }>();
    for (const { kind, units } of families) {
      const row = free.get(kind) ?? { kind, widths: 0, units: 0 };
      free.set(kind, row);
      row.widths++;
      row.units += units;
    }
    const reasons = new Map<string, number>();
    for (const { reason } of frozen) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    return {
      free: [...free.values()].sort((a, b) => b.units - a.units),
      frozen: [...reasons]
        .map(([reason, widths]) => ({ reason, widths }))
        .sort((a, b) => b.widths - a.widths),
      error: null,
    };
  } catch (error) {
    if (!(error instanceof PareError) || error.code === 'aborted') throw error;
    return { free: [], frozen: [], error: messageOf(error) };
  }
}

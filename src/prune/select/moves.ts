/**
 * The order in which widths shrink. A move takes one family from one allowed number of kept units
 * to the next; every prefix of the moves is a cut, and a longer prefix contains a shorter one. So
 * whatever the target, choosing is finding a place in this list, and what of it is not needed.
 *
 * Scopes differ only in the key of a unit, its place among those that it competes with, in (0, 1]:
 * its own family, all families, or those of the same structure. The last is from Fang et al.,
 * "Isomorphic Pruning for Vision Models" (2024).
 */
import type { Cut, Family } from '../family.js';
import { keptCounts } from './align.js';

/** Who competes with whom. */
export const scopes = Object.freeze({
  'per-layer': (family: Family) => family.id,
  global: () => '',
  isomorphic: (family: Family) => family.structure,
  /** Global, by importance per MAC that the unit saves. */
  'global-per-mac': () => '',
});

export type Scope = keyof typeof scopes;
export const scopeNames = Object.freeze(Object.keys(scopes)) as readonly Scope[];

/** A family with a score for each of its units. */
export interface ScoredFamily {
  readonly family: Family;
  /** Low for what can go. */
  readonly scores: Float64Array;
}

export interface Move {
  /** Index among the families. */
  readonly at: number;
  /** Units that are kept after it. */
  readonly kept: number;
  /** Place of the last unit that leaves with it among all that it competes with, in (0, 1]. */
  readonly key: number;
}

export interface MoveOptions {
  readonly scope: Scope;
  readonly align: number;
  /** Largest share of a family's units that may leave. */
  readonly largestShare: number;
  /** Units of families before the cut that this one continues, by id. Default what they have. */
  readonly units?: Readonly<Record<string, number>> | undefined;
}

export interface Moves {
  readonly list: readonly Move[];
  /** The cut of the first `count` moves, without those that are `undone`. */
  cut(count: number, undone?: ReadonlySet<Move>): Cut;
}

export function planMoves(scored: readonly ScoredFamily[], options: MoveOptions): Moves {
  const orders = scored.map(({ scores }) =>
    // Of equal units the last leave first, the same on every machine.
    [...scores.keys()].sort((a, b) => scores[a]! - scores[b]! || b - a),
  );
  const keys = keysOf(scored, orders, options.scope);
  const list: Move[] = [];
  for (const [at, { family }] of scored.entries()) {
    const { align, largestShare, units } = options;
    const original = units && Object.hasOwn(units, family.id) ? units[family.id] : undefined;
    for (const kept of keptCounts(family, align, largestShare, original)) {
      list.push({ at, kept, key: keys[at]![family.units - kept - 1]! });
    }
  }
  list.sort((a, b) => a.key - b.key || a.at - b.at || b.kept - a.kept);
  return {
    list,
    cut(count, undone) {
      const kept = new Map<number, number>();
      for (const move of list.slice(0, count)) {
        if (!undone?.has(move)) kept.set(move.at, move.kept);
      }
      return new Map(
        [...kept]
          .sort(([a], [b]) => a - b)
          .map(([at, left]) => {
            const { id, units } = scored[at]!.family;
            return [id, new Set(orders[at]!.slice(0, units - left))];
          }),
      );
    },
  };
}

/** By family, the key of the unit that leaves as the first, the second ... */
function keysOf(
  scored: readonly ScoredFamily[],
  orders: readonly (readonly number[])[],
  scope: Scope,
): Float64Array[] {
  const keys = scored.map(({ family }) => new Float64Array(family.units));
  const pools = new Map<string, { at: number; position: number; score: number }[]>();
  for (const [at, { family, scores }] of scored.entries()) {
    const name = scopes[scope](family);
    const pool = pools.get(name) ?? [];
    pools.set(name, pool);
    for (const [position, unit] of orders[at]!.entries()) {
      pool.push({ at, position, score: scores[unit]! });
    }
  }
  for (const pool of pools.values()) {
    pool.sort((a, b) => a.score - b.score || a.position - b.position || a.at - b.at);
    for (const [place, { at, position }] of pool.entries()) {
      keys[at]![position] = (place + 1) / pool.length;
    }
  }
  return keys;
}

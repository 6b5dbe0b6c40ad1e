/**
 * Chooses the units to remove: the shortest prefix of the moves that meets the target. Costs fall
 * with every move, so the place is found by bisection, with exact costs at each try. The last move
 * may overshoot by a whole step of a wide layer, so moves before it are then undone, the most
 * important units first, as long as the target is met.
 */
import { PareError } from '../../errors.js';
import { formatBytes, formatPercent } from '../../report/format.js';
import type { Cut } from '../family.js';
import type { Cost, CostModel } from './cost.js';
import { type Move, type MoveOptions, type Moves, planMoves, type ScoredFamily } from './moves.js';

/** What the cut has to reach; shares are of what the model has or had, in (0, 1). */
export type PruneTarget =
  /** Share of the units to remove, of those that compete with each other. */
  | { readonly kind: 'ratio'; readonly share: number }
  | { readonly kind: 'macs' | 'parameters'; readonly share: number }
  | { readonly kind: 'size'; readonly bytes: number };

export interface Selection {
  readonly cut: Cut;
  readonly before: Cost;
  readonly after: Cost;
}

export interface SelectOptions extends MoveOptions {
  /** What shares are of, where an earlier cut is continued. Default what the model has. */
  readonly original?: Pick<Cost, 'macs' | 'parameters'> | undefined;
  /** Why each width that is not among the families keeps its size. */
  readonly held?: readonly string[] | undefined;
}

/**
 * @param scored families that may shrink, each with its scores; larger is more important
 * @throws PareError `budget` when no cut meets the target: with the best that can be reached and
 *   the limits that stand in the way
 */
export function selectUnits(
  scored: readonly ScoredFamily[],
  target: PruneTarget,
  costs: CostModel,
  options: SelectOptions,
): Selection {
  const comparable =
    options.scope === 'global-per-mac' ? scored.map((each) => perMac(each, costs)) : scored;
  const moves = planMoves(comparable, options);
  const base: Cost = { ...costs.full, ...options.original };
  const meets = (cut: Cut) => isMet(target, base, costs.of(cut));
  const cut =
    target.kind === 'ratio' ? moves.cut(countUpTo(moves, target.share)) : smallestCut(moves, meets);
  if (!cut) throw unreachable(comparable, target, costs, base, options);
  return { cut, before: costs.full, after: costs.of(cut) };
}

/** Undefined where all moves together do not meet the target. */
function smallestCut(moves: Moves, meets: (cut: Cut) => boolean): Cut | undefined {
  if (!meets(moves.cut(moves.list.length))) return undefined;
  let [low, high] = [0, moves.list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (meets(moves.cut(middle))) high = middle;
    else low = middle + 1;
  }
  return giveBack(moves, low, meets);
}

/** The cut of the first `count` moves without those that the target does not need. */
function giveBack({ list, cut: cutOf }: Moves, count: number, meets: (cut: Cut) => boolean): Cut {
  let cut = cutOf(count);
  const undone = new Set<Move>();
  // Families whose last move has to stay; so have those before it.
  const settled = new Set<number>();
  for (const move of list.slice(0, count).reverse()) {
    if (settled.has(move.at)) continue;
    const candidate = cutOf(count, new Set([...undone, move]));
    if (meets(candidate)) {
      cut = candidate;
      undone.add(move);
    } else {
      settled.add(move.at);
    }
  }
  return cut;
}

function countUpTo({ list }: Moves, share: number): number {
  const first = list.findIndex(({ key }) => key > share + 1e-9);
  return first < 0 ? list.length : first;
}

function perMac({ family, scores }: ScoredFamily, costs: CostModel): ScoredFamily {
  const saved = costs.macsPerUnit(family);
  // What saves nothing leaves last.
  return { family, scores: scores.map((score, unit) => score / Math.max(saved[unit]!, 1e-9)) };
}

function isMet(target: PruneTarget, before: Cost, after: Cost): boolean {
  if (target.kind === 'ratio') return true;
  if (target.kind === 'size') return after.bytes <= target.bytes;
  return after[target.kind] <= before[target.kind] * (1 - target.share) + 1e-9;
}

/** Says how far it goes, and which limits, once lifted, would let it go further. */
function unreachable(
  scored: readonly ScoredFamily[],
  target: PruneTarget,
  costs: CostModel,
  base: Cost,
  options: SelectOptions,
): PareError {
  const reach = (limits: MoveOptions) => {
    const moves = planMoves(scored, limits);
    return costs.of(moves.cut(moves.list.length));
  };
  const best = reach(options);
  const share = `the largest share of a family (${formatPercent(options.largestShare)})`;
  const align = `the alignment (${options.align})`;
  const single = [
    { limit: share, reached: reach({ ...options, largestShare: 1 }) },
    { limit: align, reached: reach({ ...options, align: 1 }) },
  ].filter(({ reached }) => isBetter(target, reached, best));
  const both = {
    limit: `${share} and ${align}`,
    reached: reach({ ...options, largestShare: 1, align: 1 }),
  };
  const isEnough = single.some(({ reached }) => isMet(target, costs.full, reached));
  // One of them can hide behind the other.
  const isMore = single.every(({ reached }) => isBetter(target, both.reached, reached));
  const binding =
    !isEnough && isMore && isBetter(target, both.reached, best) ? [...single, both] : single;
  const wanted =
    target.kind === 'size'
      ? formatBytes(target.bytes)
      : `${formatPercent(target.kind === 'ratio' ? 0 : target.share)} fewer ${nounOf(target)}`;
  const limits = binding.map(
    ({ limit, reached }) => `without ${limit}: ${reachedText(target, base, reached)}`,
  );
  return new PareError(
    'budget',
    `prune: ${wanted} cannot be reached; at most ${reachedText(target, base, best)}`,
    {
      hint:
        limits.length > 0
          ? limits.join('; ')
          : `every width that may shrink is at its least; ${heldText(options.held ?? [])}`,
    },
  );
}

/** The reasons of most widths first. */
function heldText(reasons: readonly string[]): string {
  if (reasons.length === 0) return 'there are no others';
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const rows = [...counts].sort(([, a], [, b]) => b - a).slice(0, 5);
  return `what holds the others: ${rows.map(([reason, n]) => `${reason} (${n})`).join('; ')}`;
}

function isBetter(target: PruneTarget, a: Cost, b: Cost): boolean {
  if (target.kind === 'ratio') return false;
  const key = target.kind === 'size' ? 'bytes' : target.kind;
  return a[key] < b[key];
}

function reachedText(target: PruneTarget, before: Cost, reached: Cost): string {
  if (target.kind === 'size') return formatBytes(reached.bytes);
  const key = target.kind === 'ratio' ? 'macs' : target.kind;
  return `${formatPercent(1 - reached[key] / Math.max(1, before[key]))} fewer ${nounOf(target)}`;
}

function nounOf({ kind }: PruneTarget): string {
  return kind === 'parameters' ? 'parameters' : 'MACs';
}

/** What a cut does to every width, as plain JSON: the plan that a dry run shows. */
import type { Coupling, Cut, Family, Frozen } from './family.js';
import type { Proof } from './proof.js';
import type { RepairReport } from './repair/repair.js';
import type { Cost } from './select/cost.js';

/** One width. */
export interface PlanRow {
  readonly family: string;
  readonly kind: string;
  /** Nodes whose constants are part of it. */
  readonly nodes: readonly string[];
  readonly unitsBefore: number;
  readonly unitsAfter: number;
  /** In channels of the node that makes it. */
  readonly widthBefore: number;
  readonly widthAfter: number;
  /** Why it stays as it is, where it was not free to shrink; null where it was. */
  readonly left: string | null;
}

export interface PlanDetails {
  readonly rows: readonly PlanRow[];
  /** Widths that no cut can change, and what freezes them. */
  readonly frozen: readonly Frozen[];
  readonly before: Cost;
  readonly after: Cost;
  /** MACs and parameters before the cut that this one continues; null where it continues none. */
  readonly original: Pick<Cost, 'macs' | 'parameters'> | null;
  /** Null where it was turned off, and where nothing was cut. */
  readonly proof: Proof | null;
  /** Null where nothing was repaired. */
  readonly repair: RepairReport | null;
}

export function planDetails(
  { families, frozen }: Coupling,
  cut: Cut,
  left: ReadonlyMap<Family, string>,
  costs: Pick<PlanDetails, 'before' | 'after'>,
): Omit<PlanDetails, 'original' | 'proof' | 'repair'> {
  const rows = families.map((family): PlanRow => {
    const { id, kind, units, unitWidth, members } = family;
    const kept = units - (cut.get(id)?.size ?? 0);
    return {
      family: id,
      kind,
      nodes: [...new Set(members.map(({ node }) => node.label))],
      unitsBefore: units,
      unitsAfter: kept,
      widthBefore: units * unitWidth,
      widthAfter: kept * unitWidth,
      left: left.get(family) ?? null,
    };
  });
  return { rows, frozen, ...costs };
}

/**
 * Makes families of the labels that are still free: a class is one label, a family is all classes
 * that touch the same set of axes of constants. Also tells which widths are not free, and why.
 */
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { Side } from '../ops/coupling-rule.js';
import type { Carrier, Family, Frozen, Member, NormCoupling } from './family.js';
import type { Labels } from './labels.js';
import type { Cause, Propagation } from './propagate.js';
import { findStatistics } from './statistics.js';

/** An axis of a constant that rules have spoken about. */
interface Axis {
  readonly value: Value;
  readonly axis: number;
  readonly labels: Labels;
  readonly node: Node;
  readonly input: number;
  readonly side: Side;
}

interface Draft {
  /** Indices into the list of axes, in order. */
  readonly axes: readonly number[];
  readonly roots: number[];
}

export interface Families {
  readonly families: readonly Family[];
  readonly frozen: readonly Frozen[];
}

export function makeFamilies(
  model: Model,
  found: Propagation,
  norms: 'none' | 'exact' | 'all',
): Families {
  const axes = listAxes(model, found);
  const drafts = groupClasses(axes, found);
  const statistics = findStatistics(found);
  const places = new Places(drafts, found);
  const kinds = kindsOf(found);
  const taken = new Map<string, number>();
  const families: Family[] = [];
  const frozen = frozenAxes(axes, found);
  const ofDraft: (number | undefined)[] = [];
  drafts.forEach((draft, at) => {
    const members = draft.axes.map((each) => memberOf(axes[each]!, at, places));
    const couplings = collectNorms(draft, statistics);
    const first = members.find(({ side }) => side === 'out') ?? members[0]!;
    const refused = couplings.find(
      ({ exact }) => norms === 'none' || (norms === 'exact' && !exact),
    );
    if (refused) {
      const reason = 'it takes a statistic over the width, which a cut would change';
      frozen.push(
        frozenOf(axes[draft.axes[members.indexOf(first)]!]!, { by: refused.node.label, reason }),
      );
      return;
    }
    const count = taken.get(first.node.label) ?? 0;
    taken.set(first.node.label, count + 1);
    ofDraft[at] = families.length;
    families.push({
      id: count === 0 ? first.node.label : `${first.node.label}#${count + 1}`,
      units: draft.roots.length,
      kind: draft.roots.map((root) => kinds.get(root)).find((kind) => kind) ?? 'channels',
      members,
      carriers: [],
      norms: couplings,
      unitWidth: widthOf(first.unitOf, draft.roots.length),
      unitSize: sizesOf(members, draft.roots.length),
      structure: structureOf(draft.axes.map((each) => axes[each]!)),
    });
  });
  return { families: withCarriers(families, ofDraft, found, places), frozen };
}

/** Every axis of every constant, in the order in which nodes use them. */
function listAxes(model: Model, found: Propagation): Axis[] {
  const axes: Axis[] = [];
  const seen = new Set<Value>();
  for (const node of model.graph.nodes) {
    node.inputs.forEach((value, input) => {
      if (!value?.constant || value.isInput || seen.has(value)) return;
      seen.add(value);
      const sides = found.sides.get(value);
      found.labels.get(value)?.forEach((labels, axis) => {
        axes.push({ value, axis, labels, node, input, side: sides?.get(axis) ?? 'other' });
      });
    });
  }
  return axes;
}

/** Classes by the axes that they touch; families of a single unit cannot lose it. */
function groupClasses(axes: readonly Axis[], found: Propagation): Draft[] {
  const touched = new Map<number, number[]>();
  axes.forEach(({ labels }, at) => {
    for (const label of labels) {
      const root = found.sets.find(label);
      if (found.sets.isFixed(root)) continue;
      const list = touched.get(root);
      if (!list) touched.set(root, [at]);
      else if (list.at(-1) !== at) list.push(at);
    }
  });
  const drafts = new Map<string, Draft>();
  for (const [root, list] of touched) {
    const key = list.join();
    const draft = drafts.get(key);
    if (draft) draft.roots.push(root);
    else drafts.set(key, { axes: list, roots: [root] });
  }
  return [...drafts.values()]
    .filter(({ roots }) => roots.length > 1)
    .map((draft) => ({ ...draft, roots: inOrder(draft, axes, found) }));
}

/** Units are numbered as they come along the axis that makes the width. */
function inOrder(draft: Draft, axes: readonly Axis[], found: Propagation): number[] {
  const own = new Set(draft.roots);
  const first = draft.axes.find((at) => axes[at]!.side === 'out') ?? draft.axes[0]!;
  const roots = new Set<number>();
  for (const label of axes[first]!.labels) {
    const root = found.sets.find(label);
    if (own.has(root)) roots.add(root);
  }
  return [...roots];
}

/** Which draft and unit the class of a label is; arrays of labels are looked up once. */
class Places {
  readonly #family = new Map<number, number>();
  readonly #unit = new Map<number, number>();
  readonly #found: Propagation;
  readonly #cache = new Map<Labels, Map<number, Int32Array>>();

  constructor(drafts: readonly Draft[], found: Propagation) {
    this.#found = found;
    drafts.forEach(({ roots }, family) => {
      roots.forEach((root, unit) => {
        this.#family.set(root, family);
        this.#unit.set(root, unit);
      });
    });
  }

  /** By draft: the unit of each index, or -1. */
  along(labels: Labels): ReadonlyMap<number, Int32Array> {
    let maps = this.#cache.get(labels);
    if (maps) return maps;
    maps = new Map();
    for (let i = 0; i < labels.length; i++) {
      const root = this.#found.sets.find(labels[i]!);
      const family = this.#family.get(root);
      if (family === undefined) continue;
      let units = maps.get(family);
      if (!units) {
        units = new Int32Array(labels.length).fill(-1);
        maps.set(family, units);
      }
      units[i] = this.#unit.get(root)!;
    }
    this.#cache.set(labels, maps);
    return maps;
  }
}

function memberOf(
  { value, axis, labels, node, side }: Axis,
  draft: number,
  places: Places,
): Member {
  return { value, axis, unitOf: places.along(labels).get(draft)!, node, side };
}

function withCarriers(
  families: readonly Family[],
  ofDraft: readonly (number | undefined)[],
  found: Propagation,
  places: Places,
): Family[] {
  const carriers: Carrier[][] = families.map(() => []);
  for (const [value, axes] of found.labels) {
    if (value.constant) continue;
    axes.forEach((labels, axis) => {
      for (const [draft, unitOf] of places.along(labels)) {
        const family = ofDraft[draft];
        if (family !== undefined) carriers[family]!.push({ value, axis, unitOf });
      }
    });
  }
  return families.map((family, at) => ({ ...family, carriers: carriers[at]! }));
}

function collectNorms(
  draft: Draft,
  statistics: ReadonlyMap<number, readonly NormCoupling[]>,
): NormCoupling[] {
  const norms = new Set<NormCoupling>();
  for (const root of draft.roots) for (const norm of statistics.get(root) ?? []) norms.add(norm);
  return [...norms];
}

function kindsOf(found: Propagation): Map<number, string> {
  const kinds = new Map<number, string>();
  for (const { labels, kind } of found.kinds) {
    for (const label of labels) {
      const root = found.sets.find(label);
      // Attention knows best: a split into groups can be of the same width.
      if (!kinds.has(root) || kind !== 'groups') kinds.set(root, kind);
    }
  }
  return kinds;
}

function widthOf(unitOf: Int32Array, units: number): number {
  const counts = new Int32Array(units);
  for (const unit of unitOf) if (unit >= 0) counts[unit]!++;
  return counts.reduce((a, b) => Math.max(a, b), 0);
}

/** Elements that are gone when one unit is: a constant can lose along several axes at once. */
function sizesOf(members: readonly Member[], units: number): Float64Array {
  const left = new Map<Value, Float64Array>();
  for (const { value, unitOf } of members) {
    const counts = new Int32Array(units);
    for (const unit of unitOf) if (unit >= 0) counts[unit]!++;
    const shares = left.get(value) ?? new Float64Array(units).fill(1);
    left.set(
      value,
      shares.map((share, unit) => share * (1 - counts[unit]! / unitOf.length)),
    );
  }
  const sizes = new Float64Array(units);
  for (const [value, shares] of left) {
    const { size } = value.constant!;
    shares.forEach((share, unit) => {
      sizes[unit]! += Math.round(size * (1 - share));
    });
  }
  return sizes;
}

function structureOf(axes: readonly Axis[]): string {
  return axes
    .map(({ node, input, axis, side }) => `${node.op}.${input}.${axis}.${side}`)
    .sort()
    .join('+');
}

function frozenAxes(axes: readonly Axis[], found: Propagation): Frozen[] {
  return axes
    .filter(({ side, labels }) => side === 'out' && labels.length > 1)
    .filter(({ labels }) => labels.every((label) => found.sets.isFixed(label)))
    .map((axis) => frozenOf(axis, found.causes[found.sets.causeOf(axis.labels[0]!) - 1]!));
}

function frozenOf({ node, value, axis, labels }: Axis, { by, reason }: Cause): Frozen {
  return { node: node.label, value: value.name, axis, width: labels.length, by, reason };
}

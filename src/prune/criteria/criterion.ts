/**
 * What an importance criterion is: a pure function of a family that scores its units, low for what
 * can go. It reads numbers that were collected before (weights, statistics of activations,
 * gradients); it runs nothing and decides nothing.
 */
import { PareError } from '../../errors.js';
import type { Value } from '../../graph/value.js';
import type { Carrier, Family, Member } from '../family.js';

/** Of one activation, an entry per index of the axis that carries the units. */
export interface ActivationStatistics {
  /** E|x| */
  readonly meanMagnitude: Float64Array;
  /** E[x^2] */
  readonly meanSquare: Float64Array;
  /** Share of elements that are exactly zero, in [0, 1]. */
  readonly zeroShare: Float64Array;
}

/** Of the loss, by the elements of one constant, over the samples of a training set. */
export interface WeightGradient {
  /** E[g] */
  readonly mean: Float32Array;
  /** E[g^2], sample by sample: the diagonal of the empirical Fisher matrix. */
  readonly meanSquare: Float32Array;
}

/** Everything that criteria may look at. Keys are names of values. */
export interface CriterionData {
  /** Numbers of every constant that is a member of a family. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly activations?: ReadonlyMap<string, ActivationStatistics> | undefined;
  readonly gradients?: ReadonlyMap<string, WeightGradient> | undefined;
  /** Of everything random. */
  readonly seed: number;
}

/** What a criterion cannot do without. */
export type Need = 'weights' | 'activations' | 'gradients';

/** A score per unit, from one source. */
export type ScoreRow = Float64Array;

export interface Criterion {
  /** kebab-case, unique. */
  readonly name: string;
  /** One phrase for help and documentation. */
  readonly summary: string;
  readonly need: Need;
  /**
   * One row per member that has something to say; a reduction makes one score of them. A family
   * that the criterion cannot judge gets a reason instead, and stays as it is.
   */
  score(family: Family, data: CriterionData): readonly ScoreRow[] | { readonly reason: string };
}

/**
 * The members that hold the connections of the units: matrices and kernels that make the width or
 * read it. Biases and the like count only where a family has nothing else.
 */
export function connectionsOf(family: Family): readonly Member[] {
  const rankOf = ({ value }: Member) => value.initializer?.dims.length ?? value.dims?.length ?? 0;
  const matrices = family.members.filter(
    (member) => member.side !== 'other' && rankOf(member) >= 2,
  );
  return matrices.length > 0 ? matrices : family.members;
}

/** Activations that nodes read through a member of the family: what its units are worth to them. */
export function consumedCarriers(family: Family): readonly Carrier[] {
  const read = new Set<Value | undefined>(
    family.members.flatMap(({ side, node }) => (side === 'in' ? node.inputs : [])),
  );
  const consumed = family.carriers.filter(({ value }) => read.has(value));
  return consumed.length > 0 ? consumed : family.carriers;
}

/**
 * Sums a number per element over the slices of each unit and divides by how many slices it has, so
 * that units of several indices (a flattened map, an orbit of a shuffle) compare with single ones.
 *
 * @param weigh from the position of an element in the constant and its index along the axis
 */
export function sumSlices(
  family: Family,
  member: Member,
  weigh: (position: number, index: number) => number,
): ScoreRow {
  const dims = dimsOf(member);
  const length = dims[member.axis]!;
  const inner = product(dims.slice(member.axis + 1));
  const outer = product(dims.slice(0, member.axis));
  const sums = new Float64Array(family.units);
  for (let o = 0; o < outer; o++) {
    for (let index = 0; index < length; index++) {
      const unit = member.unitOf[index]!;
      if (unit < 0) continue;
      const start = (o * length + index) * inner;
      for (let at = start; at < start + inner; at++) sums[unit]! += weigh(at, index);
    }
  }
  return perIndex(sums, member.unitOf);
}

/** The mean over the indices of each unit; 0 for a unit without one. */
export function unitMeans(family: Family, unitOf: Int32Array, values: Float64Array): ScoreRow {
  const sums = new Float64Array(family.units);
  for (const [index, unit] of unitOf.entries()) if (unit >= 0) sums[unit]! += values[index]!;
  return perIndex(sums, unitOf);
}

function perIndex(sums: Float64Array, unitOf: Int32Array): Float64Array {
  const counts = new Float64Array(sums.length);
  for (const unit of unitOf) if (unit >= 0) counts[unit]!++;
  for (let unit = 0; unit < sums.length; unit++) sums[unit]! /= Math.max(1, counts[unit]!);
  return sums;
}

export function dimsOf({ value }: Member): readonly number[] {
  return value.constant?.dims ?? [];
}

export function weightOf(member: Member, { weights }: CriterionData): Float32Array {
  const found = weights.get(member.value.name);
  if (found) return found;
  throw new PareError('usage', 'prune: the numbers of a constant were not read', {
    tensor: member.value.name,
  });
}

/**
 * One row per connection, of its numbers and its gradient. A reason where the loss has no gradient
 * by one of them: a unit must not look worthless because a part of it was not seen.
 *
 * @throws PareError `usage` for data without gradients
 */
export function gradientRows(
  criterion: string,
  family: Family,
  data: CriterionData,
  weigh: (weight: number, gradient: WeightGradient, at: number) => number,
): readonly ScoreRow[] | { readonly reason: string } {
  const { gradients } = data;
  if (!gradients) {
    throw new PareError('usage', `prune: the criterion ${criterion} needs gradients`, {
      hint: 'give data with --data PATH, or choose a criterion without them, such as l2',
    });
  }
  const rows: ScoreRow[] = [];
  for (const member of connectionsOf(family)) {
    const gradient = gradients.get(member.value.name);
    if (!gradient) return { reason: `the loss has no gradient by "${member.value.name}"` };
    const weights = weightOf(member, data);
    rows.push(sumSlices(family, member, (at) => weigh(weights[at]!, gradient, at)));
  }
  return rows;
}

/** Statistics of an activation; throws `usage` where they were not collected. */
export function activationOf(
  criterion: string,
  carrier: Carrier,
  { activations }: CriterionData,
): ActivationStatistics {
  const found = activations?.get(carrier.value.name);
  if (found) return found;
  throw new PareError(
    'usage',
    `prune: the criterion ${criterion} needs statistics of activations`,
    {
      tensor: carrier.value.name,
      hint: 'give data with --data PATH; labels are not needed',
    },
  );
}

function product(dims: readonly number[]): number {
  return dims.reduce((result, dim) => result * dim, 1);
}

/**
 * Sum of distances from a unit's filter to those of all others: small for a filter near the
 * geometric median, which the others can stand in for. Distances are those of the weights
 * themselves, as in He et al., "Filter Pruning via Geometric Median for Deep CNN Acceleration"
 * (2019), eq. 6, and not of their powers. Differences are taken directly: the Gram form loses the
 * digits of near twins, which are the ones that matter.
 */
import type { Family, Member } from '../family.js';
import { type Criterion, connectionsOf, dimsOf, type ScoreRow, weightOf } from './criterion.js';

export const fpgm: Criterion = Object.freeze<Criterion>({
  name: 'fpgm',
  summary: 'distance of its filter to all others (geometric median)',
  need: 'weights',
  score(family, data) {
    const connections = connectionsOf(family);
    const producing = connections.filter(({ side }) => side === 'out');
    return (producing.length > 0 ? producing : connections).map((member) =>
      distanceSums(family, member, weightOf(member, data)),
    );
  },
});

function distanceSums(family: Family, member: Member, weights: Float32Array): ScoreRow {
  const filters = filtersOf(family, member, weights);
  const sums = new Float64Array(family.units);
  for (let a = 0; a < filters.length; a++) {
    const one = filters[a]!;
    for (let b = a + 1; b < filters.length; b++) {
      const other = filters[b]!;
      // Units of unequal size: what one lacks counts as zero.
      const length = Math.max(one.length, other.length);
      let square = 0;
      for (let i = 0; i < length; i++) square += ((one[i] ?? 0) - (other[i] ?? 0)) ** 2;
      const distance = Math.sqrt(square);
      sums[a]! += distance;
      sums[b]! += distance;
    }
  }
  return sums;
}

/** All slices of each unit, one behind the other. */
function filtersOf(family: Family, member: Member, weights: Float32Array): Float32Array[] {
  const dims = dimsOf(member);
  const length = dims[member.axis]!;
  const inner = dims.slice(member.axis + 1).reduce((result, dim) => result * dim, 1);
  const outer = weights.length / Math.max(1, length * inner);
  const indices: number[][] = Array.from({ length: family.units }, () => []);
  for (const [index, unit] of member.unitOf.entries()) if (unit >= 0) indices[unit]!.push(index);
  return indices.map((own) => {
    const filter = new Float32Array(own.length * outer * inner);
    let at = 0;
    for (const index of own) {
      for (let o = 0; o < outer; o++) {
        const start = (o * length + index) * inner;
        filter.set(weights.subarray(start, start + inner), at);
        at += inner;
      }
    }
    return filter;
  });
}

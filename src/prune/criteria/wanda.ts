/**
 * Magnitudes of the weights that read a unit times the root mean square of what they read:
 * sum_i |W_ij| sqrt(E[x_j^2]). Source: Sun et al., "A Simple and Effective Pruning Approach for
 * Large Language Models" (Wanda, 2024), eq. 1, summed over the outputs so that inputs compare.
 */
import type { Carrier, Family, Member } from '../family.js';
import {
  activationOf,
  type Criterion,
  connectionsOf,
  consumedCarriers,
  sumSlices,
  unitMeans,
  weightOf,
} from './criterion.js';

export const wanda: Criterion = Object.freeze<Criterion>({
  name: 'wanda',
  summary: 'weights that read it times the root mean square of its activation',
  need: 'activations',
  score(family, data) {
    const carriers = consumedCarriers(family);
    const readers = connectionsOf(family).filter(({ side }) => side === 'in');
    const rows = readers.flatMap((member) => {
      const carrier = carriers.find(({ value }) => member.node.inputs.includes(value));
      if (!carrier) return [];
      const { meanSquare } = activationOf('wanda', carrier, data);
      const rms = rmsAlong(family, member, carrier, meanSquare);
      const weights = weightOf(member, data);
      return [sumSlices(family, member, (at, index) => Math.abs(weights[at]!) * rms(index))];
    });
    return rows.length > 0 ? rows : { reason: 'no weight of a layer reads its units' };
  },
});

/** By index of the member's axis. A grouped layer has fewer indices than what it reads: then by unit. */
function rmsAlong(
  family: Family,
  member: Member,
  carrier: Carrier,
  meanSquare: Float64Array,
): (index: number) => number {
  if (member.unitOf.length === carrier.unitOf.length)
    return (index) => Math.sqrt(meanSquare[index]!);
  const means = unitMeans(family, carrier.unitOf, meanSquare);
  return (index) => Math.sqrt(means[member.unitOf[index]!]!);
}

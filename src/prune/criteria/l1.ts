/**
 * Sum of magnitudes of each unit's weights. Source: Li et al., "Pruning Filters for Efficient
 * ConvNets" (2017), on every member of the group instead of the producing filter alone.
 */
import { type Criterion, connectionsOf, sumSlices, weightOf } from './criterion.js';

export const l1: Criterion = Object.freeze<Criterion>({
  name: 'l1',
  summary: 'sum of the magnitudes of its weights',
  need: 'weights',
  score: (family, data) =>
    connectionsOf(family).map((member) => {
      const weights = weightOf(member, data);
      return sumSlices(family, member, (at) => Math.abs(weights[at]!));
    }),
});

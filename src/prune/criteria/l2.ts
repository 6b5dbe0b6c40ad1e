/**
 * Sum of squares of each unit's weights, over the whole group. Source: Fang et al., "DepGraph:
 * Towards Any Structural Pruning" (2023), section 4: the squared norm keeps sums over members
 * additive, where a root would weigh many small members more than one large one.
 */
import { type Criterion, connectionsOf, sumSlices, weightOf } from './criterion.js';

export const l2: Criterion = Object.freeze<Criterion>({
  name: 'l2',
  summary: 'sum of the squares of its weights',
  need: 'weights',
  score: (family, data) =>
    connectionsOf(family).map((member) => {
      const weights = weightOf(member, data);
      return sumSlices(family, member, (at) => weights[at]! ** 2);
    }),
});

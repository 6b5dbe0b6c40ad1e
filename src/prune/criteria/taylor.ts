/**
 * First-order change of the loss when a unit goes: |sum w g| over its weights. Source: Molchanov et
 * al., "Importance Estimation for Neural Network Pruning" (2019), eq. 8, for a group of weights.
 */
import { type Criterion, connectionsOf, gradientOf, sumSlices, weightOf } from './criterion.js';

export const taylor: Criterion = Object.freeze<Criterion>({
  name: 'taylor',
  summary: 'first-order change of the loss without it; needs gradients',
  need: 'gradients',
  score: (family, data) =>
    connectionsOf(family).map((member) => {
      const weights = weightOf(member, data);
      const { mean } = gradientOf('taylor', member, data);
      return sumSlices(family, member, (at) => weights[at]! * mean[at]!).map(Math.abs);
    }),
});

/**
 * Second-order change of the loss when a unit goes, with the diagonal of the empirical Fisher
 * matrix for the Hessian: 1/2 w^2 E[g^2]. Source: LeCun et al., "Optimal Brain Damage" (1990), eq. 5.
 */
import { type Criterion, connectionsOf, gradientOf, sumSlices, weightOf } from './criterion.js';

export const hessian: Criterion = Object.freeze<Criterion>({
  name: 'hessian',
  summary: 'second-order change of the loss without it; needs gradients',
  need: 'gradients',
  score: (family, data) =>
    connectionsOf(family).map((member) => {
      const weights = weightOf(member, data);
      const { meanSquare } = gradientOf('hessian', member, data);
      return sumSlices(family, member, (at) => 0.5 * weights[at]! ** 2 * meanSquare[at]!);
    }),
});

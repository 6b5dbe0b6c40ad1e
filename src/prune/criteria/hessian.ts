/**
 * Second-order change of the loss when a unit goes, with the diagonal of the empirical Fisher
 * matrix for the Hessian: 1/2 w^2 E[g^2]. Source: LeCun et al., "Optimal Brain Damage" (1990), eq. 5.
 */
import { type Criterion, gradientRows } from './criterion.js';

export const hessian: Criterion = Object.freeze<Criterion>({
  name: 'hessian',
  summary: 'second-order change of the loss without it; needs gradients',
  need: 'gradients',
  score: (family, data) =>
    gradientRows(
      'hessian',
      family,
      data,
      (w, { meanSquare }, at) => 0.5 * w ** 2 * meanSquare[at]!,
    ),
});

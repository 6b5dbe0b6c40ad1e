/**
 * First-order change of the loss when a unit goes: |sum w g| over its weights. Source: Molchanov et
 * al., "Importance Estimation for Neural Network Pruning" (2019), eq. 8, for a group of weights.
 */
import { type Criterion, gradientRows } from './criterion.js';

export const taylor: Criterion = Object.freeze<Criterion>({
  name: 'taylor',
  summary: 'first-order change of the loss without it; needs gradients',
  need: 'gradients',
  score(family, data) {
    const rows = gradientRows('taylor', family, data, (w, { mean }, at) => w * mean[at]!);
    return 'reason' in rows ? rows : rows.map((row) => row.map(Math.abs));
  },
});

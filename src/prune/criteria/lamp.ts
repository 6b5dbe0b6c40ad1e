/**
 * Squared weights of a unit over those of all units of its layer that are not smaller: what is left
 * of the layer if everything below has gone. Layers become comparable without a tuned share.
 * Source: Lee et al., "Layer-adaptive Sparsity for the Magnitude-based Pruning" (2021), eq. 3, with
 * units in place of single weights.
 */
import { lampOf } from '../scores.js';
import type { Criterion } from './criterion.js';
import { l2 } from './l2.js';

export const lamp: Criterion = Object.freeze<Criterion>({
  name: 'lamp',
  summary: 'squares of its weights over those of all units that are not smaller',
  need: 'weights',
  score(family, data) {
    const rows = l2.score(family, data);
    return 'reason' in rows ? rows : rows.map(lampOf);
  },
});

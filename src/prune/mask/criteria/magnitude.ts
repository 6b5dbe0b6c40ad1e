/**
 * |w|: what is small leaves. Needs no data. Compared within each layer, since the scales of layers
 * are not those of their importance (Han et al. 2015, arXiv 1506.02626).
 */
import type { ScoringCriterion } from '../criterion.js';

export const magnitude = Object.freeze<ScoringCriterion>({
  kind: 'score',
  name: 'magnitude',
  summary: '|w|',
  scope: 'layer',
  needsInputs: false,
  score: ({ values }) => values.map(Math.abs),
});

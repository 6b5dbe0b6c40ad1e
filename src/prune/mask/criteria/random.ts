/** Seeded chance: what any criterion must beat. */
import type { ScoringCriterion } from '../criterion.js';

export const random = Object.freeze<ScoringCriterion>({
  kind: 'score',
  name: 'random',
  summary: 'by chance, seeded; the baseline',
  scope: 'layer',
  needsInputs: false,
  score: ({ values }, { random }) => values.map(() => random.next()),
});

/**
 * Mean magnitude of what a unit hands to its consumers, over calibration samples. Source:
 * Muralidharan et al., "Compact Language Models via Pruning and Knowledge Distillation" (Minitron,
 * 2024), section 2.2, with one mean over samples and positions.
 */
import { activationOf, type Criterion, consumedCarriers, unitMeans } from './criterion.js';

export const activation: Criterion = Object.freeze<Criterion>({
  name: 'activation',
  summary: 'mean magnitude of its activation on the samples',
  need: 'activations',
  score: (family, data) =>
    consumedCarriers(family).map((carrier) =>
      unitMeans(family, carrier.unitOf, activationOf('activation', carrier, data).meanMagnitude),
    ),
});

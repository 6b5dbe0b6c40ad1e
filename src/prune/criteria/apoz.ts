/**
 * How often a unit is not zero: 1 - APoZ, the average percentage of zeros. Source: Hu et al.,
 * "Network Trimming: A Data-Driven Neuron Pruning Approach" (2016). It tells units apart behind
 * Relu and its like only.
 */
import { activationOf, type Criterion, consumedCarriers, unitMeans } from './criterion.js';

export const apoz: Criterion = Object.freeze<Criterion>({
  name: 'apoz',
  summary: 'share of samples and positions where it is not zero',
  need: 'activations',
  score(family, data) {
    const carriers = consumedCarriers(family);
    const shares = carriers.map((carrier) => activationOf('apoz', carrier, data).zeroShare);
    if (shares.every((share) => share.every((zeros) => zeros === 0)))
      return { reason: 'its activation is never zero, so apoz cannot tell its units apart' };
    return carriers.map((carrier, at) =>
      unitMeans(
        family,
        carrier.unitOf,
        shares[at]!.map((zeros) => 1 - zeros),
      ),
    );
  },
});

/**
 * Stochastic gradient descent with momentum: v = m v + g, w -= rate v; Nesterov's form steps by
 * g + m v. Source: Sutskever et al. 2013, "On the importance of initialization and momentum in
 * deep learning", in the form in which the rate is outside of v. Weight decay is part of g.
 */
import type { Value } from '../../graph/value.js';
import { type Optimizer, stepAlong } from './optimizer.js';

export const sgd: Optimizer = Object.freeze({
  name: 'sgd',
  slots: ({ momentum }) => (momentum > 0 ? ['momentum'] : []),
  update(request) {
    const { emitter: e, weight, gradient, state, learningRate, weightDecay, options } = request;
    const { momentum, nesterov } = options;
    const g = weightDecay > 0 ? e.add(gradient, e.mul(weight, weightDecay)) : gradient;
    const from = (direction: Value) => e.sub(weight, stepAlong(request, direction, [learningRate]));
    if (momentum === 0) return { weight: from(g), state: {} };
    const kept = e.add(e.mul(state.momentum!, momentum), g);
    const direction = nesterov ? e.add(g, e.mul(kept, momentum)) : kept;
    return { weight: from(direction), state: { momentum: kept } };
  },
} satisfies Optimizer);

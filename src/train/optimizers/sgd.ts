/**
 * Stochastic gradient descent with momentum: v = m v + g, w -= rate v; Nesterov's form steps by
 * g + m v. Source: Sutskever et al. 2013, "On the importance of initialization and momentum in
 * deep learning", in the form in which the rate is outside of v. Weight decay is part of g.
 */
import type { Optimizer } from './optimizer.js';

export const sgd: Optimizer = Object.freeze({
  name: 'sgd',
  slots: ({ momentum }) => (momentum > 0 ? ['momentum'] : []),
  update({ emitter: e, weight, gradient, state, learningRate, weightDecay, options }) {
    const { momentum, nesterov } = options;
    const g = weightDecay > 0 ? e.add(gradient, e.mul(weight, weightDecay)) : gradient;
    if (momentum === 0) return { weight: e.sub(weight, e.mul(g, learningRate)), state: {} };
    const kept = e.add(e.mul(state.momentum!, momentum), g);
    const direction = nesterov ? e.add(g, e.mul(kept, momentum)) : kept;
    return {
      weight: e.sub(weight, e.mul(direction, learningRate)),
      state: { momentum: kept },
    };
  },
} satisfies Optimizer);

/**
 * Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1) and AdamW, whose weight decay does not
 * go through the moments (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2).
 */
import type { Value } from '../../graph/value.js';
import type { Optimizer, UpdateRequest } from './optimizer.js';

export const adam: Optimizer = Object.freeze({
  name: 'adam',
  slots: () => ['mean', 'square'],
  update(request) {
    const { emitter: e, weight, gradient, weightDecay } = request;
    const g = weightDecay > 0 ? e.add(gradient, e.mul(weight, weightDecay)) : gradient;
    return moments({ ...request, gradient: g }, weight);
  },
} satisfies Optimizer);

export const adamw: Optimizer = Object.freeze({
  name: 'adamw',
  slots: () => ['mean', 'square'],
  update(request) {
    const { emitter: e, weight, learningRate, weightDecay } = request;
    if (weightDecay === 0) return moments(request, weight);
    const shrunk = e.sub(weight, e.mul(weight, e.mul(learningRate, weightDecay)));
    return moments(request, shrunk);
  },
} satisfies Optimizer);

/**
 * Both moments, corrected for their start at zero. They are kept as sums, m / (1 - beta1) and
 * v / (1 - beta2), and all that is one number per step goes into the rate and epsilon: 10 passes
 * over the weights instead of 13.
 */
function moments(request: UpdateRequest, from: Value) {
  const { emitter: e, gradient, state, learningRate, step, options } = request;
  const { beta1, beta2, epsilon } = options;
  const mean = e.add(e.mul(state.mean!, beta1), gradient);
  const square = e.add(e.mul(state.square!, beta2), e.square(gradient));
  const correction = (beta: number) =>
    e.div(e.scalar(1 - beta), e.sub(e.scalar(1), e.op('Pow', [e.scalar(beta), step])));
  const root = e.op('Sqrt', [correction(beta2)]);
  const rate = e.div(e.mul(learningRate, correction(beta1)), root);
  const direction = e.div(mean, e.add(e.op('Sqrt', [square]), e.div(e.scalar(epsilon), root)));
  return { weight: e.sub(from, e.mul(direction, rate)), state: { mean, square } };
}

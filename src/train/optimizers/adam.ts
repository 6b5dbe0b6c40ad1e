/**
 * Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1) and AdamW, whose weight decay does not
 * go through the moments (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2).
 *
 * A step of Adam is as long as the rate, whatever the gradient. With `relative` the rate counts in
 * magnitudes of the weight (parameter scaling of Shazeer and Stern 2018, arXiv:1804.04235), which
 * one rate can fit to a first layer that takes raw bytes, to folded norms and to biases alike.
 * Theirs follows the weight as it changes; ours is taken once, which costs nothing per step.
 */
import type { Value } from '../../graph/value.js';
import { type Optimizer, stepAlong, type UpdateRequest } from './optimizer.js';

export const adam: Optimizer = Object.freeze({
  name: 'adam',
  slots: () => ['mean', 'square'],
  meanSquare: 'square',
  update(request) {
    const { emitter: e, weight, gradient, weightDecay } = request;
    const g = weightDecay > 0 ? e.add(gradient, e.mul(weight, weightDecay)) : gradient;
    return moments({ ...request, gradient: g }, weight);
  },
} satisfies Optimizer);

export const adamw: Optimizer = Object.freeze({
  name: 'adamw',
  slots: () => ['mean', 'square'],
  meanSquare: 'square',
  update(request) {
    const { emitter: e, weight, learningRate, weightDecay } = request;
    if (weightDecay === 0) return moments(request, weight);
    // A share of the weight by itself: no magnitude belongs here.
    const shrunk = e.sub(weight, stepAlong(request, weight, [learningRate, weightDecay]));
    return moments(request, shrunk);
  },
} satisfies Optimizer);

/**
 * Both moments, corrected for their start at zero. They are kept as sums, m / (1 - beta1) and
 * v / (1 - beta2), and all that is one number per step goes into the rate and epsilon: 10 passes
 * over the weights instead of 13.
 */
function moments(request: UpdateRequest, from: Value) {
  const { emitter: e, gradient, state, step, options, learningRate } = request;
  const { beta1, beta2, epsilon } = options;
  const mean = e.add(e.mul(state.mean!, beta1), gradient);
  const square = e.add(e.mul(state.square!, beta2), e.square(gradient));
  const correction = (beta: number) =>
    e.div(e.scalar(1 - beta), e.sub(e.scalar(1), e.op('Pow', [e.scalar(beta), step])));
  const root = e.op('Sqrt', [correction(beta2)]);
  const magnitude = options.relative ? request.magnitude : 1;
  const isOne = typeof magnitude === 'number';
  const rates = [
    e.div(e.mul(learningRate, correction(beta1)), root),
    ...(isOne ? [magnitude] : []),
  ];
  const direction = e.div(mean, e.add(e.op('Sqrt', [square]), e.div(e.scalar(epsilon), root)));
  const way = stepAlong(request, direction, rates, isOne ? [] : [magnitude]);
  return { weight: e.sub(from, way), state: { mean, square } };
}

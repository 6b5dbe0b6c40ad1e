/**
 * Cross-entropy of logits with shares of classes: -Σ t log softmax(x) over the classes, the mean over
 * the rest. For samples that are of several classes, such as mixtures (Zhang et al. 2017,
 * arXiv:1710.09412). With label smoothing the target is (1 - s) t + s / classes.
 */
import * as z from 'zod/mini';
import { defineLoss, likeOutput, mean } from './loss.js';

export const softCrossEntropy = defineLoss({
  name: 'soft-cross-entropy',
  summary: 'Softmax cross-entropy of logits with shares of classes.',
  options: z.object({
    /** Axis of the classes. */
    axis: z._default(z.int(), -1),
    /** Part of the target that is spread over all classes, 0 to 1. */
    labelSmoothing: z._default(z.number().check(z.gte(0), z.lt(1)), 0),
  }),
  target: likeOutput,
  append(e, output, target, { axis, labelSmoothing }) {
    const logProbabilities = e.op('LogSoftmax', [output], { axis });
    const own = e.reduce('ReduceSum', e.mul(logProbabilities, target), [axis], false);
    if (labelSmoothing === 0) return e.neg(mean(e, own));
    const spread = e.reduce('ReduceMean', logProbabilities, [axis], false);
    return e.neg(mean(e, e.add(e.mul(own, 1 - labelSmoothing), e.mul(spread, labelSmoothing))));
  },
});

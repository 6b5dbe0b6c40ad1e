/**
 * Knowledge distillation: T² times the Kullback-Leibler divergence of the softened predictions,
 * Σ p (log p - log q) with p = softmax(teacher / T) and q = softmax(output / T), summed over the
 * classes and averaged over the rest. T² keeps the size of the gradient where T changes.
 * Source: Hinton, Vinyals and Dean 2015, section 2.
 */
import * as z from 'zod/mini';
import { defineLoss, likeOutput, mean } from './loss.js';

export const distillation = defineLoss({
  name: 'distillation',
  summary: 'Kullback-Leibler divergence from the softened logits of a teacher.',
  options: z.object({
    /** Axis of the classes. */
    axis: z._default(z.int(), -1),
    /** Softens both distributions; 1 to 4 are usual. */
    temperature: z._default(z.number().check(z.gt(0)), 2),
  }),
  target: likeOutput,
  append(e, output, target, { axis, temperature }) {
    const soft = (logits: typeof output) =>
      e.op('LogSoftmax', [e.div(logits, temperature)], { axis });
    const teacher = soft(target);
    const gap = e.sub(teacher, soft(output));
    const divergence = e.reduce('ReduceSum', e.mul(e.op('Exp', [teacher]), gap), [axis], false);
    return e.mul(mean(e, divergence), temperature ** 2);
  },
});

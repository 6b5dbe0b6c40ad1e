/**
 * The mean squared difference of a hidden activation from a teacher's, over the teacher's mean
 * square: 0 is equal, 1 is as bad as zeros. So layers of any scale weigh alike in a sum.
 */
import * as z from 'zod/mini';
import { defineLoss, likeOutput, mean } from './loss.js';

/** Keeps the division defined where the teacher's activation is 0 throughout. */
const tiny = 1e-12;

export const featureMse = defineLoss({
  name: 'feature-mse',
  summary: 'Mean squared difference relative to the mean square of the target, for activations.',
  options: z.object({}),
  target: likeOutput,
  append(e, output, target) {
    const difference = mean(e, e.square(e.sub(output, target)));
    return e.div(difference, e.add(mean(e, e.square(target)), tiny));
  },
});

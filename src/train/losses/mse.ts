/** The mean squared difference between an output and a target of its shape. */
import * as z from 'zod/mini';
import { defineLoss, likeOutput, mean } from './loss.js';

export const mse = defineLoss({
  name: 'mse',
  summary: 'Mean squared difference.',
  options: z.object({}),
  target: likeOutput,
  append: (e, output, target) => mean(e, e.square(e.sub(output, target))),
});

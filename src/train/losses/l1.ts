/** The mean absolute difference between an output and a target of its shape. */
import * as z from 'zod/mini';
import { defineLoss, likeOutput, mean } from './loss.js';

export const l1 = defineLoss({
  name: 'l1',
  summary: 'Mean absolute difference.',
  options: z.object({}),
  target: likeOutput,
  append: (e, output, target) => mean(e, e.op('Abs', [e.sub(output, target)])),
});

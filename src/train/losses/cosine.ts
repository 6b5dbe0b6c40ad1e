/** One minus the cosine of the angle between output and target, as vectors along an axis. */
import * as z from 'zod/mini';
import { defineLoss, likeOutput, mean } from './loss.js';

/** Keeps the division defined where a vector is 0; its cosine then counts as 0. */
const tiny = 1e-12;

export const cosine = defineLoss({
  name: 'cosine',
  summary: 'One minus the cosine similarity along an axis, for embeddings.',
  options: z.object({
    /** Axis of the vectors. */
    axis: z._default(z.int(), -1),
  }),
  target: likeOutput,
  append(e, output, target, { axis }) {
    const total = (value: typeof output) => e.reduce('ReduceSum', value, [axis], false);
    const lengths = e.mul(total(e.square(output)), total(e.square(target)));
    const product = total(e.mul(output, target));
    return e.sub(1, mean(e, e.div(product, e.op('Sqrt', [e.add(lengths, tiny)]))));
  },
});

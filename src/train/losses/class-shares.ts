/**
 * What both cross-entropies are: -Σ t log softmax(x) over the classes, with the share t of each class.
 * With label smoothing the target is (1 - s) t + s / classes (Szegedy et al. 2016, section 7).
 */
import * as z from 'zod/mini';
import type { Emitter } from '../../graph/emitter.js';
import type { Value } from '../../graph/value.js';

export const classShareOptions = z.object({
  /** Axis of the classes; -1 is the last, 1 for images [N, C, H, W]. */
  axis: z._default(z.int(), -1),
  /** Part of the target that is spread over all classes, 0 to 1. */
  labelSmoothing: z._default(z.number().check(z.gte(0), z.lt(1)), 0),
});

/** For every place: of the shape of the logits, without the axis of the classes. */
export function crossEntropyOf(
  e: Emitter,
  logits: Value,
  shares: Value,
  { axis, labelSmoothing }: z.output<typeof classShareOptions>,
): Value {
  const logProbabilities = e.op('LogSoftmax', [logits], { axis });
  const own = e.reduce('ReduceSum', e.mul(logProbabilities, shares), [axis], false);
  if (labelSmoothing === 0) return e.neg(own);
  const spread = e.reduce('ReduceMean', logProbabilities, [axis], false);
  return e.neg(e.add(e.mul(own, 1 - labelSmoothing), e.mul(spread, labelSmoothing)));
}

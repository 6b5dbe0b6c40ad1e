/**
 * Cross-entropy of logits with class numbers: -log softmax(x)[class], the mean over all places that
 * are not ignored. With label smoothing the target is (1 - s) one-hot + s / classes
 * (Szegedy et al. 2016, section 7).
 *
 * The one-hot rows are a comparison with 0..classes-1, which every provider has; OneHot and
 * GatherElements are missing on some, and their gradients scatter.
 */
import * as z from 'zod/mini';
import type { Emitter } from '../../graph/emitter.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { defineLoss, withoutAxis } from './loss.js';

export const crossEntropy = defineLoss({
  name: 'cross-entropy',
  summary: 'Softmax cross-entropy of logits with class numbers.',
  options: z.object({
    /** Axis of the classes; -1 is the last, 1 for images [N, C, H, W]. */
    axis: z._default(z.int(), -1),
    /** Part of the target that is spread over all classes, 0 to 1. */
    labelSmoothing: z._default(z.number().check(z.gte(0), z.lt(1)), 0),
    /** A class number that does not count, such as padding. */
    ignoreIndex: z.optional(z.int()),
  }),
  target: (output, { axis }) => tensorType('int64', withoutAxis(output.dims, axis)),
  append(e, output, target, { axis, labelSmoothing, ignoreIndex }) {
    const logProbabilities = e.op('LogSoftmax', [output], { axis });
    const hot = oneHot(e, output, target, axis);
    const own = e.reduce('ReduceSum', e.mul(logProbabilities, hot), [axis], false);
    const spread = () => e.reduce('ReduceMean', logProbabilities, [axis], false);
    const loss = e.neg(
      labelSmoothing === 0
        ? own
        : e.add(e.mul(own, 1 - labelSmoothing), e.mul(spread(), labelSmoothing)),
    );
    if (ignoreIndex === undefined) return e.reduce('ReduceMean', loss, undefined, false);
    const ignored = e.scalar(ignoreIndex, target.dataType ?? 'int64');
    const counts = e.cast(e.op('Not', [e.op('Equal', [target, ignored])]));
    const total = e.reduce('ReduceSum', e.mul(loss, counts), undefined, false);
    // A batch in which everything is ignored has loss 0.
    const count = e.reduce('ReduceSum', counts, undefined, false);
    return e.div(total, e.op('Max', [count, e.scalar(1)]));
  },
});

/** 1 where the class along the axis is the target, 0 elsewhere. */
function oneHot(e: Emitter, output: Value, target: Value, axis: number): Value {
  const count = e.dim(output, axis);
  const type = target.dataType ?? 'int64';
  const classes =
    typeof count === 'number'
      ? e.constant(
          type,
          [count],
          Array.from({ length: count }, (_, at) => at),
        )
      : e.cast(
          e.op('Range', [e.scalar(0, 'int64'), e.op('Squeeze', [count]), e.scalar(1, 'int64')]),
          type,
        );
  const behind = axis < 0 ? -1 - axis : (output.dims?.length ?? axis + 1) - 1 - axis;
  const column = behind > 0 ? e.reshape(classes, [-1, ...Array(behind).fill(1)]) : classes;
  return e.cast(e.op('Equal', [e.unsqueeze(target, [axis]), column]));
}

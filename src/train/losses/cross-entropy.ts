/**
 * Cross-entropy of logits with class numbers: -log softmax(x)[class], the mean over all places that
 * are not ignored.
 *
 * The one-hot rows are a comparison with 0..classes-1, which every provider has; OneHot and
 * GatherElements are missing on some, and their gradients scatter.
 */
import * as z from 'zod/mini';
import type { Emitter } from '../../graph/emitter.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { classShareOptions, crossEntropyOf } from './class-shares.js';
import { defineLoss, mean, withoutAxis } from './loss.js';

export const crossEntropy = defineLoss({
  name: 'cross-entropy',
  summary: 'Softmax cross-entropy of logits with class numbers.',
  options: z.extend(classShareOptions, {
    /** A class number that does not count, such as padding. */
    ignoreIndex: z.optional(z.int()),
  }),
  target: (output, { axis }) => tensorType('int64', withoutAxis(output.dims, axis)),
  append(e, output, target, { ignoreIndex, ...options }) {
    const loss = crossEntropyOf(e, output, oneHot(e, output, target, options.axis), options);
    if (ignoreIndex === undefined) return mean(e, loss);
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

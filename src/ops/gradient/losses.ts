/**
 * SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss, written out: classes on axis 1, a weight
 * per class, an index to ignore. What is left of the labels is a one-hot factor.
 */
import type { Emitter } from '../../graph/emitter.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { expand, type GradientTable } from './rule.js';

/** Of log-probabilities [N, C, ...] and labels [N, ...]. */
function negativeLogLikelihood(e: Emitter, node: Node, logits: Value): Value {
  const [labels, weight] = [node.input(1), node.inputs[2]];
  const classes = e.op('Unsqueeze', [labels, e.ints(1)]);
  const ignored = node.has('ignore_index') ? node.int('ignore_index') : undefined;
  const type = labels.dataType ?? 'int64';
  const isIgnored =
    ignored === undefined ? undefined : e.op('Equal', [labels, e.scalar(ignored, type)]);
  // A place that is ignored may name a class that there is not.
  const safe = isIgnored
    ? e.where(e.op('Unsqueeze', [isIgnored, e.ints(1)]), e.scalar(0, type), classes)
    : classes;
  const picked = e.op('GatherElements', [logits, safe], { axis: 1 });
  const loss = e.neg(e.squeeze(picked, [1]));
  let factor = weight && e.op('Gather', [weight, e.squeeze(safe, [1])]);
  if (isIgnored) factor = e.where(isIgnored, 0, factor ?? e.fill(loss, 1));
  const weighted = factor ? e.mul(loss, factor) : loss;
  const reduction = node.string('reduction', 'mean');
  if (reduction === 'none') return weighted;
  if (reduction === 'sum') return e.reduce('ReduceSum', weighted, undefined, false);
  if (!factor) return e.reduce('ReduceMean', weighted, undefined, false);
  const total = e.reduce('ReduceSum', weighted, undefined, false);
  return e.div(total, e.reduce('ReduceSum', factor, undefined, false));
}

export const lossGradients: GradientTable = Object.freeze({
  NegativeLogLikelihoodLoss: expand((e, node) => [negativeLogLikelihood(e, node, node.input(0))]),
  SoftmaxCrossEntropyLoss: expand((e, node) => {
    const logProbabilities = e.op('LogSoftmax', [node.input(0)], { axis: 1 });
    return [negativeLogLikelihood(e, node, logProbabilities), logProbabilities];
  }),
});

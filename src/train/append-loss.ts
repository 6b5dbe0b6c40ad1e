/**
 * Appends a loss to a model: a weighted sum of terms, each of which compares a value of the model
 * with a target that becomes an input. Any value will do, hidden activations too.
 */
import * as z from 'zod/mini';
import { PareError } from '../errors.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { losses } from './losses/index.js';
import type { Loss } from './losses/loss.js';

export interface LossTerm {
  /** Name of the loss, such as 'cross-entropy'. */
  readonly loss: string;
  /** Name of the value that is compared. */
  readonly output: string;
  /** Name of the target: an input that is added, or a value that is there, such as an image to rebuild. */
  readonly target: string;
  /** Factor in the sum; default 1. */
  readonly weight?: number;
  readonly options?: Readonly<Record<string, unknown>>;
}

/**
 * Appends the terms to this model; the result is a scalar named `loss`. Terms may share a target.
 * Outputs of half precision are compared in float.
 *
 * Throws `usage` for a loss or value that there is not and for wrong options.
 *
 * @example
 * const loss = appendLoss(model, [
 *   { loss: 'cross-entropy', output: 'logits', target: 'label', weight: 0.3 },
 *   { loss: 'distillation', output: 'logits', target: 'teacher', weight: 0.7 },
 * ]);
 */
export function appendLoss(model: Model, terms: readonly LossTerm[]): Value {
  if (terms.length === 0) throw new PareError('usage', 'append-loss: no terms are given');
  const { graph } = model;
  const e = new Emitter(graph, { scope: 'loss' });
  const parts = terms.map(
    ({ loss: name, output: outputName, target, weight = 1, options = {} }) => {
      const loss = lossOf(name);
      const parsed = z.safeParse(loss.options, options);
      if (!parsed.success) {
        throw new PareError('usage', `${name}: ${z.prettifyError(parsed.error)}`);
      }
      const output = graph.value(outputName);
      const wide = output.dataType === 'float16' ? e.cast(output) : output;
      const given = graph.find(target) ?? graph.addInput(target, loss.target(output, parsed.data));
      return e.mul(loss.append(e, wide, given, parsed.data), weight);
    },
  );
  return graph
    .addNode({
      opType: 'Identity',
      name: graph.freshNodeName('loss'),
      inputs: [e.sum(parts)],
      outputs: [graph.freshName('loss')],
    })
    .output();
}

function lossOf(name: string): Loss {
  const loss = losses.find((each) => each.name === name);
  if (loss) return loss as unknown as Loss;
  throw new PareError('usage', `append-loss: no loss is named "${name}"`, {
    hint: `there are ${losses.map((each) => each.name).join(', ')}`,
  });
}

/**
 * Gradient accumulation: the gradients of several batches, one after the other in a Loop, so that
 * only the activations of one batch are in memory. Their mean is the gradient of all batches as one
 * where the loss is a mean over samples, as all losses are.
 */
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import type { StateUpdate } from '../ops/training-form.js';
import { repeat } from './repeat.js';

export interface Accumulated {
  readonly model: Model;
  readonly loss: Value;
  /** In the order in which they were given. */
  readonly gradients: readonly Value[];
  /** Statistics after the last batch, in the order in which they were given. */
  readonly updates: readonly Value[];
}

export interface AccumulateRequest {
  /** Inputs that hold a batch; their new first axis counts batches. */
  readonly batchInputs: readonly Value[];
  readonly loss: Value;
  readonly gradients: readonly { readonly gradient: Value; readonly dims: readonly number[] }[];
  readonly updates: readonly StateUpdate[];
  /** Batches. */
  readonly count: number;
}

/** Takes the model over; inputs keep their names. */
export function accumulate(inner: Model, request: AccumulateRequest): Accumulated {
  const { batchInputs, loss, gradients, updates, count } = request;
  const { graph } = inner;
  const e = new Emitter(graph, { scope: 'accumulate' });
  const sums = gradients.map(({ gradient, dims }, index) => {
    const input = graph.addInput(graph.freshName(`sum_${index}`), tensorType('float', dims));
    return { input, output: e.add(input, gradient) };
  });
  const names = sums.map(({ input }) => input.name);
  const carried = [
    ...sums,
    ...updates.map(({ before, after }) => ({ input: before, output: after })),
  ];
  const request_ = { sliced: batchInputs, carried, collected: [loss], count };
  const { model, carried: last, collected } = repeat(inner, request_);
  const outer = model.graph;
  for (const [index, name] of names.entries()) {
    const input = outer.value(name);
    const loop = outer.nodes.last!;
    const at = new Emitter(outer, { scope: `zeros_${index}`, position: { before: loop } });
    input.replaceUses(at.fill(input));
    outer.inputs.splice(outer.inputs.indexOf(input), 1);
    outer.removeValue(input);
  }
  const mean = new Emitter(outer, { scope: 'mean' });
  return {
    model,
    loss: mean.reduce('ReduceMean', collected[0]!, undefined, false),
    gradients: last.slice(0, sums.length).map((sum) => mean.mul(sum, 1 / count)),
    updates: last.slice(sums.length),
  };
}

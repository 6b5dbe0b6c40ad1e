/**
 * Operators that do something else in training than in inference, and how a node is switched:
 * which inputs hold a state, and which output holds the state after the step.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';

/** A state that a training step reads and replaces, such as a running mean. */
export interface StateUpdate {
  readonly node: Node;
  readonly before: Value;
  readonly after: Value;
}

/** Switches a node to training; gives the states that it updates. */
export type TrainingForm = (node: Node) => readonly StateUpdate[];

/** Normalizes by the statistics of the batch; the running ones are momentum-weighted means. */
const batchNormalization: TrainingForm = (node) => {
  node.setAttribute('training_mode', 1);
  return [1, 2].map((index) => {
    const before = node.input(index + 2);
    const name = node.graph!.freshName(`${before.name}/updated`);
    if (!node.outputs[index]) node.setOutput(index, node.graph!.addValue(name));
    return { node, before, after: node.output(index) };
  });
};

const trainingForms: Readonly<Record<string, TrainingForm>> = Object.freeze({
  BatchNormalization: batchNormalization,
});

/** How a node of this operator is switched to training; undefined where there is no difference. */
export function trainingFormOf(op: string): TrainingForm | undefined {
  return Object.hasOwn(trainingForms, op) ? trainingForms[op] : undefined;
}

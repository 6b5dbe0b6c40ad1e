/**
 * Operators that make probabilities of logits, at which losses are better attached: their
 * gradients neither vanish where a probability is 0 or 1, nor need a logarithm of it.
 */
import type { Node } from '../graph/node.js';

export interface ProbabilityForm {
  /** The input with the logits. */
  readonly logits: number;
  /** Axis of the classes. */
  axis(node: Node): number;
}

const softmax: ProbabilityForm = Object.freeze({
  logits: 0,
  axis: (node: Node) => node.int('axis', -1),
});

const forms: Readonly<Record<string, ProbabilityForm>> = Object.freeze({
  Softmax: softmax,
  LogSoftmax: softmax,
});

/** How the node makes probabilities, undefined for every other operator. */
export function probabilityFormOf({ op }: Node): ProbabilityForm | undefined {
  return Object.hasOwn(forms, op) ? forms[op] : undefined;
}

/** What a loss compares the classes of a batch with: numbers of classes, or shares of them. */
import type { HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { PareError } from '../errors.js';
import type { MixedBatch } from './mixtures.js';

/** The input of the step that takes the labels. */
export interface LabelInput {
  readonly input: string;
  /** How many classes there are, where it takes the share of each; undefined for class numbers. */
  readonly classes: number | undefined;
}

/**
 * int64 [batch], or float [batch, classes]: a mixture is as much of each class as it is of a sample
 * of it.
 *
 * @throws PareError `invalid-data` for a sample without a label, or with one that is no class
 */
export function labelTarget({ labels, ids, own }: MixedBatch, { classes }: LabelInput): HostTensor {
  const unlabelled = labels.indexOf(undefined);
  if (unlabelled >= 0) {
    throw new PareError('invalid-data', `train: sample "${ids[unlabelled]}" has no label`, {
      hint: 'leave it out, or learn from a teacher',
    });
  }
  const known = labels as readonly number[];
  if (classes === undefined) {
    return hostTensor('int64', [known.length], BigInt64Array.from(known, BigInt));
  }
  const shares = new Float32Array(known.length * classes);
  for (const [at, label] of known.entries()) {
    const part = own?.[at] ?? 1;
    add(at, label, part);
    if (part < 1) add(at, known[(at + 1) % known.length]!, 1 - part);
  }
  return hostTensor('float', [known.length, classes], shares);

  function add(at: number, label: number, part: number): void {
    if (!(label >= 0 && label < classes!)) {
      throw new PareError(
        'invalid-data',
        `train: sample "${ids[at]}" has label ${label}, and the model has ${classes} classes`,
        { hint: 'leave it out, or check that the labels are those of the model' },
      );
    }
    shares[at * classes! + label]! += part;
  }
}

/**
 * From the scored output of one sample to predictions: which class or token is the largest, is it
 * the right one, how likely was it. One prediction for a classifier, one per position for tokens.
 */
import type { Sample } from '../data/dataset.js';
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { numbersOf } from './compare-outputs.js';
import type { SampleOutputs } from './sample-runner.js';
import type { Task } from './task.js';

/** Predictions of one sample. Arrays have one entry per prediction. */
export interface Predictions {
  /** Index of the largest score, the lowest where several are largest; -1 where one is NaN. */
  readonly predicted: Int32Array;
  /** The right index; -1 where it is not known. */
  readonly targets: Int32Array;
  /** How many scores beat that of the target: 0 is a top-1 hit, below 5 a top-5 hit. */
  readonly ranks: Int32Array;
  /** Sum of -ln p(target) over the positions, in nats; tokens only. */
  readonly negativeLogLikelihood: number;
}

/**
 * Tokens: position t predicts id t+1, so a sample of n ids has n-1 predictions. Scores are logits
 * (or log-probabilities). Throws `data-mismatch` for a label or id that the output has no score for.
 */
export function predict(task: Task, sample: Sample, outputs: SampleOutputs): Predictions {
  if (task.name === 'generic') return none;
  const output = outputs[task.output]!;
  const scores = numbersOf(output);
  if (task.name === 'classification') {
    if (scores.length !== task.classes)
      throw unlikeFirst(task.output, output, sample, task.classes);
    const target =
      sample.label === undefined ? -1 : checkTarget(sample.label, task.classes, sample, 'label');
    return score(scores, task.classes, Int32Array.of(target), false);
  }
  const ids = idsOf(sample, task.input);
  const targets = Int32Array.from({ length: Math.max(0, ids.length - 1) }, (_, at) =>
    checkTarget(Number(ids[at + 1]), task.vocabulary, sample, 'id'),
  );
  if (scores.length !== ids.length * task.vocabulary) {
    throw unlikeFirst(task.output, output, sample, ids.length * task.vocabulary);
  }
  return score(scores, task.vocabulary, targets, true);
}

const none: Predictions = Object.freeze({
  predicted: new Int32Array(),
  targets: new Int32Array(),
  ranks: new Int32Array(),
  negativeLogLikelihood: 0,
});

function score(
  scores: ArrayLike<number>,
  width: number,
  targets: Int32Array,
  wantsLikelihood: boolean,
): Predictions {
  const predicted = new Int32Array(targets.length);
  const ranks = new Int32Array(targets.length);
  let negativeLogLikelihood = 0;
  for (const [at, target] of targets.entries()) {
    const start = at * width;
    predicted[at] = argmax(scores, start, width);
    if (target >= 0) ranks[at] = predicted[at]! < 0 ? width : rankOf(scores, start, width, target);
    if (wantsLikelihood) {
      negativeLogLikelihood += logSumExp(scores, start, width) - scores[start + target]!;
    }
  }
  return { predicted, targets, ranks, negativeLogLikelihood };
}

function argmax(scores: ArrayLike<number>, start: number, width: number): number {
  let best = 0;
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < width; i++) {
    const value = scores[start + i]!;
    if (Number.isNaN(value)) return -1;
    if (value > largest) {
      largest = value;
      best = i;
    }
  }
  return best;
}

/** Equal scores rank by their index, as argmax orders them. */
function rankOf(scores: ArrayLike<number>, start: number, width: number, target: number): number {
  const own = scores[start + target]!;
  let above = 0;
  for (let i = 0; i < width; i++) {
    const value = scores[start + i]!;
    if (value > own || (value === own && i < target)) above++;
  }
  return above;
}

/** ln(sum(exp)) shifted by the largest score, so that nothing overflows. */
function logSumExp(scores: ArrayLike<number>, start: number, width: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < width; i++) largest = Math.max(largest, scores[start + i]!);
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = 0; i < width; i++) sum += Math.exp(scores[start + i]! - largest);
  return largest + Math.log(sum);
}

function idsOf(sample: Sample, input: string): ArrayLike<number | bigint> {
  return (sample.inputs[input] ?? sample.inputs[''])!.data as ArrayLike<number | bigint>;
}

function checkTarget(target: number, width: number, sample: Sample, what: string): number {
  if (target >= 0 && target < width) return target;
  throw new PareError(
    'data-mismatch',
    `evaluate: ${what} ${target} of sample "${sample.id}" is outside the model's ${width} classes`,
    { hint: 'map the labels of the data to the classes of the model with "labelMap"' },
  );
}

function unlikeFirst(
  name: string,
  { dims }: HostTensor,
  { id }: Sample,
  expected: number,
): PareError {
  return new PareError(
    'data-mismatch',
    `evaluate: the output for sample "${id}" is [${dims}], ${expected} scores are expected`,
    { tensor: name, hint: 'use the task "generic" for outputs whose shape changes' },
  );
}

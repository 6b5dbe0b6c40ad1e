/**
 * What the model is explained for: the class of a sample, or the next token at each position; its
 * loss and hits from logits, and the slope of the loss by the logits. Pure functions of numbers.
 */
import type { Feeds, HostTensor } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import { probabilityFormOf } from '../ops/probabilities.js';

/** Which value holds the logits, and what of the data is held against them. */
export interface Target {
  readonly task: 'classification' | 'tokens';
  readonly logits: string;
  readonly classes: number;
  /** Of the logits of one sample, without the batch. */
  readonly dims: readonly number[];
  /** Name of the input with the token ids; for tokens only. */
  readonly tokens: string | undefined;
}

/** Of the rows of a batch: each number is of one sample. */
export interface RowScores {
  /** Mean over the positions with a target of -ln p, in nats. */
  readonly loss: Float64Array;
  /** Share of those positions where the target is the likeliest. */
  readonly hits: Float64Array;
  /** The likeliest class at the first position. */
  readonly predicted: Int32Array;
}

/** The logits of the first float output: what goes into its Softmax, where it ends in one. */
export function logitsOf({ graph }: Model): Value {
  const output = graph.outputs.find(
    ({ dataType }) => dataType && dataTypes[dataType].kind === 'float',
  );
  if (!output) throw new PareError('unsupported', 'explain: the model has no output of floats');
  const form = output.producer && probabilityFormOf(output.producer);
  return form ? output.producer!.input(form.logits) : output;
}

/**
 * @param dims of the logits and of the inputs, for a batch of `rows`
 * @throws PareError `unsupported` when the logits are neither [batch, classes] nor
 *   [batch, length, vocabulary] beside token ids
 */
export function chooseTarget(
  logits: Value,
  dims: readonly number[],
  inputs: Feeds,
  rows: number,
): Target {
  const [first, ...rest] = dims;
  const wide = rest.filter((dim) => dim !== 1);
  const common = { logits: logits.name, dims: rest };
  if (first === rows && wide.length === 1)
    return { ...common, task: 'classification', classes: wide[0]!, tokens: undefined };
  const ids = Object.entries(inputs).find(
    ([, { dataType, dims: own }]) =>
      /^int(32|64)$/.test(dataType) && own.join() === [first, rest[0]].join(),
  );
  if (first === rows && rest.length === 2 && ids)
    return { ...common, task: 'tokens', classes: rest[1]!, tokens: ids[0] };
  throw new PareError(
    'unsupported',
    `explain: the first output is [${dims}] for ${rows} samples, which is neither a class per sample nor a token per position`,
    { tensor: logits.name, hint: 'only classifiers and language models are explained' },
  );
}

/**
 * The class that each position of each row is held against, -1 for none: the label, the next id, or
 * the class that the model itself predicts where the sample has no label.
 */
export function targetsOf(
  target: Target,
  feeds: Feeds,
  labels: readonly (number | undefined)[],
  logits: HostTensor,
): Int32Array {
  const rows = logits.dims[0]!;
  if (target.task === 'tokens') {
    const { data, dims } = feeds[target.tokens!]!;
    const length = dims[1]!;
    const ids = data as ArrayLike<number | bigint>;
    return Int32Array.from({ length: rows * length }, (_, at) =>
      at % length === length - 1 ? -1 : Number(ids[at + 1]!),
    );
  }
  const numbers = float32Of(logits);
  return Int32Array.from({ length: rows }, (_, row) => {
    const label = labels[row];
    if (label === undefined || label < 0)
      return argmax(numbers, row * target.classes, target.classes);
    if (label < target.classes) return label;
    throw new PareError(
      'data-mismatch',
      `explain: a label is ${label}, the model has ${target.classes} classes`,
      { hint: 'map the labels of the data to the classes of the model with "labelMap"' },
    );
  });
}

/** Rows of logits against their targets, which may repeat: row r takes those of r modulo their rows. */
export function scoreRows(
  { classes }: Target,
  logits: Float32Array,
  rows: number,
  targets: Int32Array,
): RowScores {
  const positions = logits.length / rows / classes;
  const known = targets.length / positions;
  const loss = new Float64Array(rows);
  const hits = new Float64Array(rows);
  const predicted = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    let count = 0;
    for (let position = 0; position < positions; position++) {
      const start = (row * positions + position) * classes;
      const best = argmax(logits, start, classes);
      if (position === 0) predicted[row] = best;
      const target = targets[(row % known) * positions + position]!;
      if (target < 0) continue;
      count++;
      loss[row]! += logSumExp(logits, start, classes) - logits[start + target]!;
      if (best === target) hits[row]!++;
    }
    loss[row]! /= Math.max(1, count);
    hits[row]! /= Math.max(1, count);
  }
  return { loss, hits, predicted };
}

/** Slope of the loss of each row by its logits: softmax minus the target, over the positions. */
export function lossSlope(target: Target, logits: HostTensor, targets: Int32Array): Float32Array {
  const { classes } = target;
  const numbers = float32Of(logits);
  const slope = new Float32Array(numbers.length);
  const counts = countTargets(targets, logits.dims[0]!);
  targets.forEach((class_, at) => {
    if (class_ < 0) return;
    const start = at * classes;
    const norm = logSumExp(numbers, start, classes);
    const count = counts[Math.floor((at * logits.dims[0]!) / targets.length)]!;
    for (let i = start; i < start + classes; i++) slope[i] = Math.exp(numbers[i]! - norm) / count;
    slope[start + class_]! -= 1 / count;
  });
  return slope;
}

/** Slope of the mean logit of the targets of each row. */
export function logitSlope(target: Target, logits: HostTensor, targets: Int32Array): Float32Array {
  const slope = new Float32Array(float32Of(logits).length);
  const rows = logits.dims[0]!;
  const counts = countTargets(targets, rows);
  targets.forEach((class_, at) => {
    if (class_ < 0) return;
    slope[at * target.classes + class_] = 1 / counts[Math.floor((at * rows) / targets.length)]!;
  });
  return slope;
}

/** A 1 at the logit of one class in each row; for a class per sample. */
export function classSeed({ classes }: Target, class_: number, rows: number): Float32Array {
  const seed = new Float32Array(rows * classes);
  for (let row = 0; row < rows; row++) seed[row * classes + class_] = 1;
  return seed;
}

function countTargets(targets: Int32Array, rows: number): Int32Array {
  const counts = new Int32Array(rows);
  targets.forEach((class_, at) => {
    if (class_ >= 0) counts[Math.floor((at * rows) / targets.length)]!++;
  });
  return counts;
}

export function argmax(numbers: ArrayLike<number>, start: number, length: number): number {
  let best = 0;
  for (let i = 1; i < length; i++) if (numbers[start + i]! > numbers[start + best]!) best = i;
  return best;
}

function logSumExp(numbers: ArrayLike<number>, start: number, length: number): number {
  const largest = numbers[start + argmax(numbers, start, length)]!;
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = start; i < start + length; i++) sum += Math.exp(numbers[i]! - largest);
  return largest + Math.log(sum);
}

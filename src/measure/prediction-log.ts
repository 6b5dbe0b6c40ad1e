/**
 * Which class every model predicts for every sample: the confusion of each, and the samples on
 * which the last differs from the first. Watches an evaluation (see Observer); runs nothing.
 */
import type { Sample } from '../data/dataset.js';
import { numbersOf } from './compare-outputs.js';
import { predict } from './predict.js';
import type { SampleOutputs } from './sample-runner.js';
import type { Task } from './task.js';

/** One sample whose prediction changed. */
export interface Flip {
  readonly sample: Sample;
  readonly before: number;
  readonly after: number;
  /** Share of the softmax over the scores that the prediction had; of scores that sum to 1, the score. */
  readonly confidenceBefore: number;
  readonly confidenceAfter: number;
}

export class PredictionLog {
  /** Number of classes; undefined before the first sample and for other tasks. */
  classes: number | undefined;
  samples = 0;
  flipped = 0;
  readonly #most: number;
  readonly #flips: Flip[] = [];
  /** By model, then label * classes + prediction; samples without a label are not in it. */
  readonly #counts: Uint32Array[] = [];
  #labelled = 0;

  /** @param most flips that are kept, the most confident ones */
  constructor(most = 24) {
    this.#most = most;
  }

  readonly observe = (task: Task, sample: Sample, outputs: readonly SampleOutputs[]): void => {
    if (task.name !== 'classification') return;
    const { classes } = task;
    this.classes = classes;
    this.samples++;
    const predictions = outputs.map((each) => predict(task, sample, each).predicted[0]!);
    for (const [model, predicted] of predictions.entries()) {
      const counts = (this.#counts[model] ??= new Uint32Array(classes * classes));
      if (sample.label === undefined || predicted < 0) continue;
      if (model === 0) this.#labelled++;
      counts[sample.label * classes + predicted]!++;
    }
    const [before, after] = [predictions[0]!, predictions.at(-1)!];
    if (before === after) return;
    this.flipped++;
    if (before < 0 || after < 0) return;
    this.#keep({
      ...{ sample, before, after },
      confidenceBefore: confidence(outputs[0]!, task.output, before),
      confidenceAfter: confidence(outputs.at(-1)!, task.output, after),
    });
  };

  /** The most confident first: those are the surprising ones. */
  get flips(): readonly Flip[] {
    return this.#flips;
  }

  /** counts[label][prediction] of a model; undefined without any label. */
  confusion(model: number): Uint32Array[] | undefined {
    const { classes } = this;
    const counts = this.#counts[model];
    if (classes === undefined || !counts || this.#labelled === 0) return undefined;
    return Array.from({ length: classes }, (_, label) =>
      counts.subarray(label * classes, (label + 1) * classes),
    );
  }

  #keep(flip: Flip): void {
    const at = this.#flips.findIndex((each) => each.confidenceAfter < flip.confidenceAfter);
    this.#flips.splice(at < 0 ? this.#flips.length : at, 0, flip);
    if (this.#flips.length > this.#most) this.#flips.pop();
  }
}

function confidence(outputs: SampleOutputs, output: string, predicted: number): number {
  const scores = numbersOf(outputs[output]!);
  let [sum, least, largest] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const score of scores) {
    sum += score;
    if (score < least) least = score;
    if (score > largest) largest = score;
  }
  // A model that ends in a softmax has given the share already.
  if (least >= 0 && Math.abs(sum - 1) < 1e-3) return scores[predicted]!;
  let total = 0;
  for (const score of scores) total += Math.exp(score - largest);
  return Math.exp(scores[predicted]! - largest) / total;
}

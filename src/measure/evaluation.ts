/**
 * The result of an evaluation, and the counter that makes it from sample after sample in constant
 * memory. Runs nothing: who calls it brings the outputs of the model and of the reference.
 */
import type { Sample } from '../data/dataset.js';
import { PareError } from '../errors.js';
import { OutputComparison, type OutputMeasure } from './compare-outputs.js';
import { type Predictions, predict } from './predict.js';
import type { SampleOutputs } from './sample-runner.js';
import { type Drop, pairedDrop, type Rate, rate } from './statistics.js';
import type { Task, TaskName } from './task.js';

/**
 * How good one model is on the data, by itself and against the reference. Plain JSON: a number
 * that does not exist is null. Shares are in [0, 1], drops in percentage points.
 */
export interface Evaluation {
  readonly model: string;
  /** Name of the reference; null for the reference itself and where there is none. */
  readonly reference: string | null;
  readonly task: TaskName;
  /** The output that is scored, the first of `outputs`. */
  readonly output: string;
  /** Samples that were run. */
  readonly samples: number;
  readonly classification: ClassificationQuality | null;
  readonly tokens: TokenQuality | null;
  /**
   * Predictions that are not those of the reference, of all samples (tokens: of all predictions).
   * Needs no labels. Null without a reference and for the task 'generic'.
   */
  readonly flips: Rate | null;
  /** Loss of top-1 or next-token accuracy against the reference; null without labels. */
  readonly drop: Drop | null;
  /** Every output that is a tensor, the scored one first. */
  readonly outputs: readonly OutputMeasure[];
  /** What the reader should know, such as outputs that are not compared. */
  readonly notes: readonly string[];
}

export interface ClassificationQuality {
  readonly classes: number;
  /** Over the samples with a label; null when there are none. */
  readonly top1: Rate | null;
  /** Null also when the model has no more than five classes. */
  readonly top5: Rate | null;
  /** Classes that occur among the labels, by index. */
  readonly perClass: readonly ClassQuality[];
}

export interface ClassQuality {
  readonly class: number;
  /** As the data names it; null where it has no names. */
  readonly name: string | null;
  /** Samples with this label, and how many of them are predicted so. */
  readonly n: number;
  readonly correct: number;
}

export interface TokenQuality {
  readonly vocabulary: number;
  /** Predicted positions: for a sample of n ids, n - 1. */
  readonly n: number;
  /** exp of the mean of -ln p(next id); null when it is not finite. */
  readonly perplexity: number | null;
  /** The mean itself, in nats. */
  readonly crossEntropy: number | null;
  /** Positions where the likeliest id is the next one. Positions of one text are not independent. */
  readonly nextToken: Rate;
}

export class EvaluationCounter {
  readonly #model: string;
  readonly #task: Task;
  readonly #reference: string | null;
  readonly #classNames: readonly string[] | undefined;
  readonly #notes = new Set<string>();
  readonly #outputs = new Map<string, OutputComparison>();
  readonly #perClass = new Map<number, { n: number; correct: number }>();
  #samples = 0;
  #predictions = 0;
  #labelled = 0;
  #correct = 0;
  #inTop5 = 0;
  #flips = 0;
  #lost = 0;
  #gained = 0;
  #negativeLogLikelihood = 0;

  constructor(options: {
    model: string;
    task: Task;
    /** Null for the reference itself. */
    reference: string | null;
    classNames?: readonly string[] | undefined;
    notes?: readonly string[] | undefined;
  }) {
    this.#model = options.model;
    this.#task = options.task;
    this.#reference = options.reference;
    this.#classNames = options.classNames;
    for (const note of options.notes ?? []) this.#notes.add(note);
    this.#outputs.set(options.task.output, new OutputComparison(options.task.output));
  }

  /** Throws `data-mismatch` where the outputs of both models do not compare. */
  add(sample: Sample, outputs: SampleOutputs, reference?: SampleOutputs): void {
    if (!outputs[this.#task.output]) {
      throw new PareError(
        'data-mismatch',
        `evaluate: "${this.#model}" has no output "${this.#task.output}", which is scored`,
        { hint: `its outputs are ${Object.keys(outputs).join(', ')}` },
      );
    }
    this.#samples++;
    this.#compare(outputs, reference);
    const own = predict(this.#task, sample, outputs);
    this.#count(own);
    if (reference) this.#countAgainst(own, predict(this.#task, sample, reference));
  }

  result(): Evaluation {
    const compared = this.#reference !== null && this.#task.name !== 'generic';
    return {
      model: this.#model,
      reference: this.#reference,
      task: this.#task.name,
      output: this.#task.output,
      samples: this.#samples,
      classification: this.#classification(),
      tokens: this.#tokens(),
      flips: compared ? rate(this.#flips, this.#predictions) : null,
      drop:
        compared && this.#labelled > 0
          ? pairedDrop(this.#lost, this.#gained, this.#labelled)
          : null,
      outputs: [...this.#outputs.values()].map((output) => output.result()),
      notes: [...this.#notes],
    };
  }

  #compare(outputs: SampleOutputs, reference: SampleOutputs | undefined): void {
    for (const [name, tensor] of Object.entries(outputs)) {
      const expected = reference?.[name];
      if (reference && !expected) this.#notes.add(`output "${name}" is not in the reference`);
      const comparison = this.#outputs.get(name) ?? new OutputComparison(name);
      this.#outputs.set(name, comparison);
      comparison.add(tensor, expected);
    }
    for (const name of Object.keys(reference ?? {})) {
      if (!outputs[name]) this.#notes.add(`output "${name}" of the reference is not in the model`);
    }
  }

  #count({ predicted, targets, ranks, negativeLogLikelihood }: Predictions): void {
    this.#predictions += predicted.length;
    this.#negativeLogLikelihood += negativeLogLikelihood;
    for (const [at, target] of targets.entries()) {
      if (target < 0) continue;
      this.#labelled++;
      if (ranks[at] === 0) this.#correct++;
      if (ranks[at]! < 5) this.#inTop5++;
      if (this.#task.name !== 'classification') continue;
      const counts = this.#perClass.get(target) ?? { n: 0, correct: 0 };
      this.#perClass.set(target, counts);
      counts.n++;
      if (ranks[at] === 0) counts.correct++;
    }
  }

  #countAgainst(own: Predictions, reference: Predictions): void {
    for (const [at, prediction] of own.predicted.entries()) {
      if (prediction !== reference.predicted[at]) this.#flips++;
      if (own.targets[at]! < 0) continue;
      const [mine, theirs] = [own.ranks[at] === 0, reference.ranks[at] === 0];
      if (theirs && !mine) this.#lost++;
      if (mine && !theirs) this.#gained++;
    }
  }

  #classification(): ClassificationQuality | null {
    if (this.#task.name !== 'classification') return null;
    const { classes } = this.#task;
    const labelled = this.#labelled > 0;
    const perClass = [...this.#perClass].sort(([a], [b]) => a - b);
    return {
      classes,
      top1: labelled ? rate(this.#correct, this.#labelled) : null,
      top5: labelled && classes > 5 ? rate(this.#inTop5, this.#labelled) : null,
      perClass: perClass.map(([index, counts]) => ({
        class: index,
        name: this.#classNames?.[index] ?? null,
        ...counts,
      })),
    };
  }

  #tokens(): TokenQuality | null {
    if (this.#task.name !== 'tokens') return null;
    const crossEntropy = this.#negativeLogLikelihood / this.#predictions;
    const perplexity = Math.exp(crossEntropy);
    return {
      vocabulary: this.#task.vocabulary,
      n: this.#predictions,
      perplexity: Number.isFinite(perplexity) ? perplexity : null,
      crossEntropy: Number.isFinite(crossEntropy) ? crossEntropy : null,
      nextToken: rate(this.#correct, this.#predictions),
    };
  }
}

/**
 * Quality of one or several models on the same samples, in one pass through the data and with
 * memory that does not grow with it. Counting is in evaluation.ts; nothing here changes a model.
 */
import type { Dataset, Sample } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { PareError, throwIfAborted } from '../errors.js';
import { type Progress, silent } from '../progress.js';
import { type Evaluation, EvaluationCounter } from './evaluation.js';
import { checkNames, type NamedModel } from './named-model.js';
import {
  openRunner,
  type RunnerOptions,
  type SampleOutputs,
  type SampleRunner,
} from './sample-runner.js';
import { chooseTask, type Task, type TaskOptions } from './task.js';

export interface EvaluateOptions extends TaskOptions, RunnerOptions {
  /** Samples of the dataset and their order; default all. */
  readonly indices?: ArrayLike<number> | undefined;
  /** Whether the first model is what the others are compared with; default true. */
  readonly reference?: boolean | undefined;
  /** Sees every sample with the outputs of all models, in the order of the models. */
  readonly observe?: Observer | undefined;
  readonly progress?: Progress | undefined;
}

/** For what an evaluation does not count, such as which predictions changed. */
export type Observer = (task: Task, sample: Sample, outputs: readonly SampleOutputs[]) => void;

/**
 * Runs every model on every sample and scores it:
 *
 * - classification: top-1, top-5 and counts per class where the data has labels;
 * - tokens: perplexity and next-token accuracy, over the data itself;
 * - against the reference, with or without labels: flips, drop, and per output SNR, cosine and
 *   largest error.
 *
 * The task is found from the model and the first sample, see `chooseTask`. All models take the
 * same data; a float16 input is fed the same numbers rounded.
 *
 * Throws `usage` for options that do not fit the model, `data-mismatch` for data that does not
 * fit it, or outputs that do not compare, `invalid-data` when there is no sample.
 *
 * @returns one evaluation per model, in order
 * @example
 * const [original, small] = await evaluate(
 *   [{ name: 'original', source: { path: 'a.onnx' } }, { name: 'int8', source: { path: 'b.onnx' } }],
 *   dataset,
 *   engine,
 * );
 * small.flips.share; // 0.012
 */
export async function evaluate(
  models: readonly NamedModel[],
  dataset: Dataset,
  engine: Engine,
  options: EvaluateOptions = {},
): Promise<Evaluation[]> {
  checkNames(models, 'evaluate');
  const { indices, signal, progress = silent } = options;
  const total = indices?.length ?? dataset.size;
  const task = progress.task('evaluate', total);
  const runners: SampleRunner[] = [];
  try {
    for (const model of models) runners.push(await openRunner(engine, model, options));
    const size = chunkSize(runners, options.batchSize);
    let counting: Counting | undefined;
    let done = 0;
    for await (const chunk of chunks(dataset.samples(indices), size)) {
      throwIfAborted(signal);
      counting = await addChunk(runners, chunk, counting, dataset, options);
      done += chunk.length;
      task.update(done);
    }
    if (!counting) {
      throw new PareError('invalid-data', 'evaluate: there is no sample', { file: dataset.name });
    }
    return counting.counters.map((counter) => counter.result());
  } finally {
    task.end();
    for (const runner of runners) await runner.release();
  }
}

/** The counters of a task, one per model; `reference` is the name of the first, or null. */
export function createCounter(
  runner: SampleRunner,
  task: Task,
  reference: string | null,
  dataset: Pick<Dataset, 'classes' | 'hasLabels'>,
): EvaluationCounter {
  const notes = runner.skipped.map((name) => `output "${name}" is no tensor and not compared`);
  if (dataset.hasLabels && task.name === 'generic') {
    notes.push('the labels are not used: no output has one score per class');
  }
  return new EvaluationCounter({
    model: runner.name,
    task,
    reference,
    classNames: dataset.classes,
    notes,
  });
}

interface Counting {
  readonly task: Task;
  readonly counters: readonly EvaluationCounter[];
}

async function addChunk(
  runners: readonly SampleRunner[],
  chunk: readonly Sample[],
  known: Counting | undefined,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Counting> {
  const comparing = options.reference !== false && runners.length > 1;
  const first = runners[0]!;
  const reference = await first.run(chunk);
  const { task, counters } = known ?? begin();
  const all: (readonly SampleOutputs[])[] = [];
  for (const [at, counter] of counters.entries()) {
    const outputs = at === 0 ? reference : await runners[at]!.run(chunk);
    if (options.observe) all.push(outputs);
    for (const [row, sample] of chunk.entries()) {
      counter.add(sample, outputs[row]!, comparing && at > 0 ? reference[row] : undefined);
    }
  }
  for (const [row, sample] of options.observe ? chunk.entries() : []) {
    options.observe!(
      task,
      sample,
      all.map((outputs) => outputs[row]!),
    );
  }
  return { task, counters };

  function begin(): Counting {
    const task = chooseTask(first, chunk[0]!, reference[0]!, options);
    const counters = runners.map((runner, at) =>
      createCounter(runner, task, comparing && at > 0 ? first.name : null, dataset),
    );
    return { task, counters };
  }
}

/** As many samples at once as the widest run takes, so that no fixed batch is filled up in vain. */
function chunkSize(runners: readonly SampleRunner[], batchSize = 1): number {
  return Math.max(batchSize, ...runners.map(({ fixedBatch = 1 }) => fixedBatch));
}

async function* chunks(samples: AsyncIterable<Sample>, size: number): AsyncGenerator<Sample[]> {
  let chunk: Sample[] = [];
  for await (const sample of samples) {
    if (chunk.push(sample) < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

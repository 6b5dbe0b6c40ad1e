/**
 * Variants of a model against the model itself, one after the other: what an optimizer asks to
 * find the nodes that lose too much. One variant is in memory at a time; the outputs of the
 * reference are kept as far as they fit.
 */
import type { Sample } from '../data/dataset.js';
import type { Engine, ModelSource } from '../engine/engine.js';
import { PareError, throwIfAborted } from '../errors.js';
import { type Progress, silent } from '../progress.js';
import { createCounter } from './evaluate.js';
import type { Evaluation } from './evaluation.js';
import type { NamedModel } from './named-model.js';
import {
  openRunner,
  type RunnerOptions,
  type SampleOutputs,
  type SampleRunner,
} from './sample-runner.js';
import { chooseTask, type Task, type TaskOptions } from './task.js';

export interface Variant extends Omit<NamedModel, 'source'> {
  /** A function makes the model when its turn comes and lets go of it after. */
  readonly source: ModelSource | (() => ModelSource | Promise<ModelSource>);
}

export interface SensitivityOptions extends TaskOptions, RunnerOptions {
  /**
   * Most bytes of reference outputs that are kept; beyond it the reference runs again for each
   * variant. Default 256 MiB.
   */
  readonly cacheBytes?: number | undefined;
  readonly progress?: Progress | undefined;
}

/** One variant: its quality, or why the runtime refused it. */
export type VariantResult =
  | { readonly name: string; readonly evaluation: Evaluation; readonly error?: undefined }
  | { readonly name: string; readonly evaluation?: undefined; readonly error: PareError };

/** Samples that are run at once, so that the outputs in memory stay few. */
const chunkSamples = 16;

/**
 * Evaluates each variant against the reference on the same samples. A variant that the runtime
 * does not load or run is a result with an error, and the next one follows; every other error is
 * thrown. Ending the loop early releases everything.
 *
 * @example
 * for await (const { name, evaluation } of measureVariants(original, variants, samples, engine)) {
 *   if (evaluation) console.log(name, snrOf(evaluation.outputs[0].agreement), evaluation.flips);
 * }
 */
export async function* measureVariants(
  reference: NamedModel,
  variants: Iterable<Variant> | AsyncIterable<Variant>,
  samples: readonly Sample[],
  engine: Engine,
  options: SensitivityOptions = {},
): AsyncGenerator<VariantResult, void, undefined> {
  if (samples.length === 0) throw new PareError('invalid-data', 'sensitivity: there is no sample');
  const { signal, progress = silent } = options;
  const task = progress.task('sensitivity');
  const original = await ReferenceOutputs.open(reference, samples, engine, options);
  let done = 0;
  try {
    // Before the first variant, so that a reference that does not run is not blamed on one.
    const [expected] = await original.chunk(0);
    const scored = chooseTask(original.runner, samples[0]!, expected!, options);
    for await (const variant of variants) {
      throwIfAborted(signal);
      yield await measure(variant, original, scored, samples, engine, options);
      task.update(++done, variant.name);
    }
  } finally {
    task.end();
    await original.close();
  }
}

async function measure(
  variant: Variant,
  original: ReferenceOutputs,
  task: Task,
  samples: readonly Sample[],
  engine: Engine,
  options: SensitivityOptions,
): Promise<VariantResult> {
  const { name } = variant;
  let runner: SampleRunner | undefined;
  try {
    const source = typeof variant.source === 'function' ? await variant.source() : variant.source;
    runner = await openRunner(engine, { ...variant, source }, options);
    const hasLabels = samples.some(({ label }) => label !== undefined);
    const counter = createCounter(runner, task, original.runner.name, { hasLabels });
    for (let start = 0; start < samples.length; start += chunkSamples) {
      throwIfAborted(options.signal);
      const chunk = samples.slice(start, start + chunkSamples);
      const outputs = await runner.run(chunk);
      const references = await original.chunk(start);
      for (const [at, sample] of chunk.entries()) {
        counter.add(sample, outputs[at]!, references[at]);
      }
    }
    return { name, evaluation: counter.result() };
  } catch (error) {
    const isRefused = error instanceof PareError && /^(engine|unsupported)$/.test(error.code);
    if (!isRefused) throw error;
    return { name, error };
  } finally {
    await runner?.release();
  }
}

/** Outputs of the reference by chunk: kept while they fit, run again otherwise. */
class ReferenceOutputs {
  readonly runner: SampleRunner;
  readonly #samples: readonly Sample[];
  readonly #kept = new Map<number, readonly SampleOutputs[]>();
  readonly #limit: number;
  #bytes = 0;

  private constructor(runner: SampleRunner, samples: readonly Sample[], limit: number) {
    this.runner = runner;
    this.#samples = samples;
    this.#limit = limit;
  }

  static async open(
    reference: NamedModel,
    samples: readonly Sample[],
    engine: Engine,
    options: SensitivityOptions,
  ): Promise<ReferenceOutputs> {
    const runner = await openRunner(engine, reference, options);
    return new ReferenceOutputs(runner, samples, options.cacheBytes ?? 256 * 2 ** 20);
  }

  async chunk(start: number): Promise<readonly SampleOutputs[]> {
    const kept = this.#kept.get(start);
    if (kept) return kept;
    const outputs = await this.runner.run(this.#samples.slice(start, start + chunkSamples));
    const bytes = outputs.reduce((sum, each) => sum + bytesOf(each), 0);
    if (this.#bytes + bytes <= this.#limit) {
      this.#bytes += bytes;
      this.#kept.set(start, outputs);
    }
    return outputs;
  }

  async close(): Promise<void> {
    this.#kept.clear();
    await this.runner.release();
  }
}

function bytesOf(outputs: SampleOutputs): number {
  return Object.values(outputs).reduce(
    (sum, { data }) => sum + (ArrayBuffer.isView(data) ? data.byteLength : 16 * data.length),
    0,
  );
}

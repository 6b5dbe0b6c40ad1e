/**
 * What every command that makes a model shows of it beside the original: its quality on samples
 * that nothing has seen, and its speed. Measuring is done elsewhere.
 */
import type { Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { evaluate, type Observer } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import type { NamedModel } from '../measure/named-model.js';
import { latencyCells } from '../report/measurements.js';
import type { CommandContext } from './command.js';
import { isSlower, type MeasuredSpeed, measureSpeed } from './measured-speed.js';
import { qualityTable } from './quality-table.js';

type Context = Pick<CommandContext<unknown, unknown>, 'globals' | 'signal' | 'progress' | 'output'>;

export interface QualityData {
  readonly dataset: Dataset;
  readonly indices: Uint32Array;
  /** Sees every sample with its outputs, such as what a report keeps of predictions. */
  readonly observe?: Observer | undefined;
}

/** The reference first. Undefined, with a warning, where no samples are left. */
export async function showQuality(
  models: readonly NamedModel[],
  { dataset, indices, observe }: QualityData,
  engine: Engine,
  { signal, progress, output }: Context,
): Promise<Evaluation[] | undefined> {
  if (indices.length === 0) {
    output.warn('no samples are left to evaluate the result on');
    return undefined;
  }
  const evaluations = await evaluate(models, dataset, engine, {
    indices,
    observe,
    signal,
    progress,
  });
  output.human(`\n${qualityTable(evaluations, output)}`);
  return evaluations;
}

/** @param advice what to do about a result that became slower, as a clause */
export async function showSpeed(
  [original, made]: readonly [NamedModel, NamedModel],
  dataset: Dataset | undefined,
  engine: Engine,
  { globals, signal, output }: Context,
  advice?: string,
): Promise<MeasuredSpeed> {
  const speed = await measureSpeed(original, made, engine, { dataset, seed: globals.seed, signal });
  if (!speed.rows) {
    output.warn(`the speed was not measured: ${speed.reason}`);
    return speed;
  }
  const [before, after] = speed.rows.map((row) => latencyCells(row));
  output.human(`${before![0]} before, ${after![0]} after at one thread: ${after![1]}.`);
  if (isSlower(speed.rows[1])) {
    output.warn(`the result is slower than the original here${advice ? `; ${advice}` : ''}`);
  }
  return speed;
}

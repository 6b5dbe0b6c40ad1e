/**
 * Fine-tuning as a step of a recipe: the student is what the steps before it made, the teacher and
 * the samples come with the context. Decides nothing about either.
 */
import * as z from 'zod/mini';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { type PassContext, type PassReport, passContext, requireEngine } from '../pass.js';
import { type FinetuneResult, finetune } from './finetune.js';
import { finetuneOptions } from './finetune-options.js';

/** Its name in recipes and reports. */
export const finetuneStepName = 'finetune';

/** `details` of its report. Plain JSON. */
export interface TrainingDetails
  extends Pick<
    FinetuneResult,
    | 'history'
    | 'bestEpoch'
    | 'scoreName'
    | 'startScore'
    | 'bestScore'
    | 'restarts'
    | 'losses'
    | 'frozen'
  > {
  /** Tensors that learned. */
  readonly trained: number;
}

/**
 * @param given what differs from the defaults of finetune
 * @throws PareError `usage` for a wrong option and without `context.training`
 * @example
 * const { model: tuned, report } = await finetuneStep(cut, { epochs: 5 }, { engine, training });
 */
export async function finetuneStep(
  model: Model,
  given: Readonly<Record<string, unknown>>,
  context: Partial<PassContext>,
): Promise<{ model: Model; report: PassReport }> {
  const { training, seed, signal, progress } = passContext(context);
  const engine = requireEngine(passContext(context), finetuneStepName);
  if (!training) {
    throw new PareError('usage', 'finetune: there are no samples to train on', {
      hint: 'give the context of the recipe `training`: a dataset, the samples of it, a teacher',
    });
  }
  const parsed = z.safeParse(finetuneOptions, given);
  if (!parsed.success) throw new PareError('usage', `finetune: ${z.prettifyError(parsed.error)}`);
  const { model: tuned, ...result } = await finetune({
    ...training,
    student: model,
    options: parsed.data,
    engine,
    seed,
    signal,
    progress,
  });
  return { model: tuned, report: reportOf(tuned, parsed.data, training.train.length, result) };
}

function reportOf(
  { graph }: Model,
  options: unknown,
  samples: number,
  result: Omit<FinetuneResult, 'model'>,
): PassReport {
  const nodesOf = (names: readonly string[]) =>
    new Set(names.flatMap((name) => [...(graph.find(name)?.users ?? [])]));
  const changed = nodesOf(result.bestEpoch === 0 ? [] : result.trained);
  const { history, startScore, bestScore, scoreName, bestEpoch, losses, restarts } = result;
  const notes = [
    `${history.length} epochs of ${samples} samples by ${losses.join(' and ')}, ${Math.round(result.samplesPerSecond)} samples per second`,
  ];
  if (startScore !== null && bestScore !== null) {
    notes.push(
      bestEpoch === 0
        ? `no epoch was better than the student, which stays: ${scoreName} ${startScore.toFixed(4)}`
        : `epoch ${bestEpoch} is the best: ${scoreName} ${startScore.toFixed(4)} before, ${bestScore.toFixed(4)} after`,
    );
  }
  for (const { from, to } of restarts) {
    notes.push(`a rate of ${from} made it worse, and training began again at ${to}`);
  }
  const { frozen } = result;
  const trained = result.trained.length;
  const scores = { scoreName, startScore, bestScore, bestEpoch };
  const details: TrainingDetails = { history, ...scores, restarts, losses, trained, frozen };
  return {
    pass: finetuneStepName,
    options,
    changed: Array.from(changed, (node) => ({ node: node.label, op: node.op, what: 'trained' })),
    skipped: frozen.flatMap(({ name, reason }) =>
      Array.from(nodesOf([name]), (node) => ({
        node: node.label,
        op: node.op,
        reason: `not trained: "${name}" ${reason}`,
      })),
    ),
    notes,
    details,
  };
}

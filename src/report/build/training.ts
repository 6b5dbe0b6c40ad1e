/** Training runs as part of a report. Converts, measures nothing. */
import type { PassReport } from '../../pass.js';
import type { FinetuneResult } from '../../train/finetune.js';
import { finetuneStepName, type TrainingDetails } from '../../train/finetune-step.js';
import type { Training } from '../data/training.js';

export function trainingPart(result: FinetuneResult): Training {
  const { scoreName, losses, startScore, bestScore, bestEpoch, history, trained, frozen } = result;
  return {
    ...{ scoreName, startScore, bestScore, bestEpoch },
    losses: [...losses],
    epochs: [...history],
    trained: trained.length,
    frozen: [...frozen],
  };
}

/** Of the steps of a recipe that train, in their order; undefined where none does. */
export function trainingOfSteps(reports: readonly PassReport[]): Training | undefined {
  const runs: { details: TrainingDetails; before: string[] }[] = [];
  let before: string[] = [];
  for (const { pass, notes, details } of reports) {
    if (pass === finetuneStepName) {
      runs.push({ details: details as TrainingDetails, before });
      before = [];
    } else before.push(...notes.map((note) => `${pass}: ${note}`));
  }
  const [first] = runs;
  const last = runs.at(-1)?.details;
  if (!first || !last) return undefined;
  const epochs: Training['epochs'] = [];
  const rounds = runs.map(({ details, before }) => {
    const done = epochs.length;
    epochs.push(...details.history.map((row) => ({ ...row, epoch: done + row.epoch })));
    const { startScore, bestScore, bestEpoch } = details;
    return { before, firstEpoch: done + 1, startScore, bestScore, bestEpoch: done + bestEpoch };
  });
  const { scoreName, losses, trained, frozen } = last;
  return {
    ...{ scoreName, losses: [...losses], trained, frozen: [...frozen], epochs },
    startScore: first.details.startScore,
    bestScore: last.bestScore,
    bestEpoch: rounds.at(-1)!.bestEpoch,
    ...(rounds.length > 1 && { rounds }),
  };
}

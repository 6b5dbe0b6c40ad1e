/** A training run as part of a report. Converts, measures nothing. */
import type { FinetuneResult } from '../../train/finetune.js';
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

/** How a training run went, or several with a cut before each. */
import * as z from 'zod/mini';
import { count, number, text } from './common.js';

export const training = z.object({
  scoreName: text,
  losses: z.array(text),
  startScore: z.nullable(number),
  bestScore: z.nullable(number),
  /** 0: no epoch was better than the start. */
  bestEpoch: count,
  epochs: z.array(
    z.object({
      epoch: count,
      loss: number,
      score: z.nullable(number),
      learningRate: number,
      seconds: number,
    }),
  ),
  /**
   * Runs behind each other, where there were several: epochs are then counted through all of them,
   * scores are those of the first start and of the last best. Absent: one run.
   */
  rounds: z.optional(
    z.array(
      z.object({
        /** What was done to the model before it, as its steps say it. */
        before: z.array(text),
        firstEpoch: count,
        startScore: z.nullable(number),
        bestScore: z.nullable(number),
        /** The epoch before the first one: no epoch was better than the start. */
        bestEpoch: count,
      }),
    ),
  ),
  trained: count,
  frozen: z.array(z.object({ name: text, reason: text })),
});

export type Training = z.output<typeof training>;

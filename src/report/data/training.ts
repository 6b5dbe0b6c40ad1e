/** How a training run went. */
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
  trained: count,
  frozen: z.array(z.object({ name: text, reason: text })),
});

export type Training = z.output<typeof training>;

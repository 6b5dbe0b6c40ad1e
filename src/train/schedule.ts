/**
 * Learning rates over the steps of a training run, as pure functions of the step: nothing to save
 * in a checkpoint. Sources: warm restarts' cosine without restarts (Loshchilov and Hutter 2016,
 * arXiv:1608.03983), linear warm-up (Goyal et al. 2017, arXiv:1706.02677).
 */
import * as z from 'zod/mini';
import { PareError } from '../errors.js';

export const scheduleNames = ['constant', 'linear', 'cosine', 'step'] as const;

export const scheduleOptions = z.object({
  /** How the rate falls after the warm-up. */
  schedule: z._default(z.enum(scheduleNames), 'cosine'),
  /** Highest learning rate, reached at the end of the warm-up. */
  learningRate: z._default(z.number().check(z.positive()), 0.01),
  /** Share of all steps in which the rate rises linearly from 0. In [0, 1). */
  warmup: z._default(z.number().check(z.gte(0), z.lt(1)), 0.05),
  /** The last rate as a share of the highest, for linear and cosine. In [0, 1]. */
  finalShare: z._default(z.number().check(z.gte(0), z.lte(1)), 0),
  /** For `step`: shares of all steps after which the rate is multiplied by `stepFactor`. */
  milestones: z._default(z.array(z.number().check(z.gt(0), z.lt(1))), [0.5, 0.75]),
  /** For `step`. In (0, 1). */
  stepFactor: z._default(z.number().check(z.gt(0), z.lt(1)), 0.1),
});

export type ScheduleOptions = z.output<typeof scheduleOptions>;

type Decay = (share: number, options: ScheduleOptions) => number;

/** Factor on the highest rate at a share of the steps behind the warm-up, in [0, 1]. */
const decays: Readonly<Record<(typeof scheduleNames)[number], Decay>> = Object.freeze({
  constant: () => 1,
  linear: (share, { finalShare }) => 1 + share * (finalShare - 1),
  cosine: (share, { finalShare }) =>
    finalShare + ((1 - finalShare) * (1 + Math.cos(Math.PI * share))) / 2,
  step: (share, { milestones, stepFactor }) =>
    stepFactor ** milestones.filter((milestone) => share >= milestone).length,
});

/** Steps in which the rate rises, of a run of so many. */
export function warmupSteps(steps: number, { warmup }: Pick<ScheduleOptions, 'warmup'>): number {
  return Math.round(warmup * steps);
}

/**
 * The learning rate of a step, from 0. The first step of a warm-up is not 0, since a step that
 * learns nothing is a step lost.
 *
 * @throws PareError `usage` for a step outside of the run
 * @example learningRateAt(0, 100, scheduleOptions.parse({ learningRate: 0.1, warmup: 0.1 })) // 0.01
 */
export function learningRateAt(step: number, steps: number, options: ScheduleOptions): number {
  if (!(Number.isInteger(step) && step >= 0 && step < steps)) {
    throw new PareError('usage', `schedule: step ${step} of a run of ${steps} steps`);
  }
  const rising = warmupSteps(steps, options);
  if (step < rising) return (options.learningRate * (step + 1)) / rising;
  const falling = steps - rising;
  const share = falling > 1 ? (step - rising) / (falling - 1) : 0;
  return options.learningRate * decays[options.schedule](share, options);
}

/**
 * Rounds of pruning: the steps of a recipe in which a cut is made in several parts with training
 * behind each, instead of at once. Plain steps, so that a receipt, `pare verify` and a report see
 * nothing new. Runs nothing; see prune-and-train.ts.
 *
 * Sources: Molchanov et al. 2017, arXiv:1611.06440, and 2019, arXiv:1906.10771 (prune, train,
 * repeat, with the scores taken anew); Renda et al. 2020, arXiv:2003.02389 (each round takes the
 * same share of what is left, and the learning rate starts again).
 */
import type * as z from 'zod/mini';
import { PareError } from '../errors.js';
import type { PruneMethodName } from '../prune/method-names.js';
import { finetuneOptions } from '../train/finetune-options.js';
import type { Step } from './recipe.js';

/** Methods whose target can rise from round to round, and the option that is the target. */
const rising: Readonly<Record<'structured' | 'unstructured', readonly string[]>> = Object.freeze({
  structured: ['macs', 'params'],
  unstructured: ['sparsity'],
});

export interface RoundsRequest {
  readonly method: PruneMethodName;
  /** Options of the method, with the target of all rounds together, such as `{ macs: 0.5 }`. */
  readonly prune: Readonly<Record<string, unknown>>;
  /** Options of finetune; `epochs` are those of all rounds together. Default none: no training. */
  readonly finetune?: Readonly<z.input<typeof finetuneOptions>> | undefined;
  /** Default 1. */
  readonly rounds?: number | undefined;
}

/**
 * What is gone after each round, of what was there at first: every round takes the same share of
 * what is left.
 *
 * @param target in (0, 1); the last entry is exactly this
 * @example risingShares(0.75, 2) // [0.5, 0.75]
 */
export function risingShares(target: number, rounds: number): number[] {
  return Array.from({ length: rounds }, (_, round) =>
    round === rounds - 1 ? target : 1 - (1 - target) ** ((round + 1) / rounds),
  );
}

/** As even as whole numbers are; what is over goes to the last rounds, one each. */
export function epochsOfRounds(epochs: number, rounds: number): number[] {
  const extra = epochs % rounds;
  return Array.from(
    { length: rounds },
    (_, round) => Math.floor(epochs / rounds) + (round >= rounds - extra ? 1 : 0),
  );
}

/**
 * The steps of all rounds, between simplification before and what follows. With one round: the
 * cut, a simplification, and training where it is asked for.
 *
 * @throws PareError `usage` for rounds without training, more rounds than epochs, and a method or
 *   target that cannot rise
 */
export function roundSteps(request: RoundsRequest): Step[] {
  const { method, prune, finetune, rounds = 1 } = request;
  const pass = `prune-${method}`;
  const before: Step = {
    pass: 'simplify',
    // Equal weights that are one tensor make widths hang together that need not.
    options: method === 'structured' ? { unshare: true } : {},
  };
  // What was taken apart before may be put together again.
  const after: Step[] = method === 'structured' ? [{ pass: 'simplify', options: {} }] : [];
  if (rounds === 1) {
    const trained: Step[] = finetune ? [{ pass: 'finetune', options: finetune }] : [];
    return [before, { pass, options: prune }, ...after, ...trained];
  }
  const key = risingTarget(request);
  const epochs = epochsOf(request);
  const shares = risingShares(prune[key] as number, rounds);
  const steps = shares.flatMap((share, round): Step[] => [
    {
      pass,
      options: {
        ...prune,
        [key]: share,
        ...(method === 'structured' && round > 0 && { continued: true }),
      },
    },
    ...(round === rounds - 1 ? after : []),
    { pass: 'finetune', options: { ...finetune, epochs: epochs[round]! } },
  ]);
  return [before, ...steps];
}

function risingTarget({ method, prune, rounds }: RoundsRequest): string {
  const usage = (message: string, hint: string) => new PareError('usage', message, { hint });
  if (!Number.isInteger(rounds) || rounds! < 1) {
    throw usage(`rounds: ${rounds} is no number of rounds`, 'give a whole number from 1 on');
  }
  const keys = rising[method as keyof typeof rising] ?? [];
  const key = keys.find((each) => typeof prune[each] === 'number');
  if (key !== undefined) return key;
  const known = Object.entries(rising).map(([name, each]) => `${name} (${each.join(', ')})`);
  throw usage(
    `rounds: ${method} has no target here that can rise from round to round`,
    `methods and targets that can: ${known.join('; ')}`,
  );
}

function epochsOf({ finetune, rounds = 1 }: RoundsRequest): number[] {
  if (!finetune) {
    throw new PareError('usage', `rounds: ${rounds} rounds without training are one`, {
      hint: 'train between them with finetune, or leave out rounds',
    });
  }
  const epochs = finetune.epochs ?? finetuneOptions.parse({}).epochs;
  if (epochs >= rounds) return epochsOfRounds(epochs, rounds);
  throw new PareError('usage', `rounds: ${epochs} epochs are too few for ${rounds} rounds`, {
    hint: 'epochs are those of all rounds together: give one per round at least',
  });
}

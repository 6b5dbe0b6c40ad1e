/**
 * The optimizers. A new one is one file, one name in options.ts and one line here.
 */
import { PareError } from '../../errors.js';
import { adam, adamw } from './adam.js';
import { muon } from './muon.js';
import type { Optimizer } from './optimizer.js';
import { sgd } from './sgd.js';

export const optimizers: readonly Optimizer[] = Object.freeze([sgd, adam, adamw, muon]);

/** Throws `usage` for a name that no optimizer has. */
export function optimizerNamed(name: string): Optimizer {
  const found = optimizers.find((each) => each.name === name);
  if (found) return found;
  throw new PareError('usage', `train: no optimizer is named "${name}"`, {
    hint: `optimizers: ${optimizers.map((each) => each.name).join(', ')}`,
  });
}

export type { Optimizer, UpdateRequest } from './optimizer.js';
export { type OptimizerOptions, optimizerNames, optimizerOptions } from './options.js';

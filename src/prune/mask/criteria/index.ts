/** Every criterion of masks. A new one is one file and one line here. */
import { PareError } from '../../../errors.js';
import type { MaskCriterion } from '../criterion.js';
import { magnitude } from './magnitude.js';
import { random } from './random.js';
import { sparseGpt } from './sparsegpt.js';
import { wanda } from './wanda.js';

export const maskCriteria: readonly MaskCriterion[] = Object.freeze([
  magnitude,
  wanda,
  sparseGpt,
  random,
]);

/** Throws `usage` for an unknown name. */
export function maskCriterion(name: string): MaskCriterion {
  const found = maskCriteria.find((criterion) => criterion.name === name);
  if (found) return found;
  throw new PareError('usage', `prune: no criterion of masks is named "${name}"`, {
    hint: `criteria: ${maskCriteria.map((each) => each.name).join(', ')}`,
  });
}

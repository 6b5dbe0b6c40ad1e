/** The criteria that units can be chosen by, in the order of the documentation. */
import { PareError } from '../../errors.js';
import { activation } from './activation.js';
import { apoz } from './apoz.js';
import { bnScale } from './bn-scale.js';
import type { Criterion } from './criterion.js';
import { fpgm } from './fpgm.js';
import { hessian } from './hessian.js';
import { l1 } from './l1.js';
import { l2 } from './l2.js';
import { lamp } from './lamp.js';
import { random } from './random.js';
import { taylor } from './taylor.js';
import { wanda } from './wanda.js';

export const criteria: readonly Criterion[] = Object.freeze([
  l1,
  l2,
  lamp,
  fpgm,
  bnScale,
  activation,
  apoz,
  wanda,
  taylor,
  hessian,
  random,
]);

/** In the form that schemas take. */
export const criterionNames = criteria.map(({ name }) => name) as [string, ...string[]];

/** Throws `usage` for a name that no criterion has. */
export function criterionNamed(name: string): Criterion {
  const found = criteria.find((criterion) => criterion.name === name);
  if (found) return found;
  throw new PareError('usage', `prune: no criterion is named "${name}"`, {
    hint: `criteria: ${criterionNames.join(', ')}`,
  });
}

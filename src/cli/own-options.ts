/**
 * Commands with one set of flags for several passes: each flag goes to a pass that has such an
 * option, and is refused with the others, so that none is ignored.
 */
import type * as z from 'zod/mini';
import { PareError } from '../errors.js';
import { checkOptions } from './check-options.js';
import { kebabCase } from './option-spec.js';

/** The flags that were given. Throws `usage` for one that the pass does not know or take. */
export function ownOptions(
  command: string,
  pass: string,
  schema: z.ZodMiniObject,
  fields: object,
  options: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const known = Object.keys(schema.shape);
  const given = Object.keys(fields).filter((key) => options[key] !== undefined);
  const foreign = given.find((key) => !known.includes(key));
  if (foreign) {
    throw new PareError('usage', `${command}: ${pass} has no option --${kebabCase(foreign)}`, {
      hint: `its options: ${known.map((key) => `--${kebabCase(key)}`).join(', ')}`,
    });
  }
  const own = Object.fromEntries(given.map((key) => [key, options[key]]));
  checkOptions(schema, own, (key) => `--${kebabCase(key)}`);
  return own;
}

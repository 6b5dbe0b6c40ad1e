/**
 * The methods of pruning, and the one function that applies any of them.
 */
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { applyPass, type Pass, type PassContext, type PassReport } from '../pass.js';
import { depth } from './depth.js';
import { type PruneMethodName, pruneMethodNames } from './method-names.js';
import { structured } from './structured.js';
import { unstructured } from './unstructured.js';

/** Every method by its name. A new one is one file, one line here and one in method-names.ts. */
export const pruneMethods = Object.freeze({ unstructured, structured, depth } satisfies Record<
  PruneMethodName,
  unknown
>);

/**
 * Prunes a copy of the model. Options are those of the method (see its schema). Simplify first:
 * weights behind other nodes are not found.
 *
 * Throws `usage` for an unknown method, a wrong option or a pattern that matches no node, and
 * `invalid-model` for a weight that holds NaN or infinities.
 *
 * @example
 * const { model: small, report } = await prune(model, 'unstructured', { sparsity: 0.8 });
 */
export async function prune(
  model: Model,
  method: string,
  options: Readonly<Record<string, unknown>> = {},
  context: Partial<PassContext> = {},
): Promise<{ model: Model; report: PassReport }> {
  if (!Object.hasOwn(pruneMethods, method)) {
    throw new PareError('usage', `prune: no method is named "${method}"`, {
      hint: `methods: ${pruneMethodNames.join(', ')}`,
    });
  }
  const pass = pruneMethods[method as PruneMethodName] as unknown as Pass;
  return applyPass(model, pass, options, context);
}

export { depth } from './depth.js';
export { structured } from './structured.js';
export { unstructured } from './unstructured.js';

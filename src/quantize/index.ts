/**
 * The quantization schemes, and the one function that applies any of them.
 */
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { applyPass, type PassContext, type PassReport } from '../pass.js';
import { dynamic } from './dynamic.js';
import { float16 } from './float16.js';
import { staticScheme } from './static.js';
import { weightOnly } from './weight-only.js';

/** Every scheme, in the order in which help lists them. A new one is one file and one line here. */
export const schemes = Object.freeze([staticScheme, dynamic, weightOnly, float16] as const);

export type SchemeName = (typeof schemes)[number]['name'];

/**
 * Quantizes a copy of the model. Options are those of the scheme (see its schema). The report says
 * of every node that stays float why it does; where all of them do, the copy computes the same.
 *
 * Throws `usage` for an unknown scheme, a wrong option or a pattern that matches no node, and
 * `invalid-model` for a weight that holds NaN or infinities.
 *
 * @example
 * const { model: small, report } = await quantize(model, 'dynamic', { exclude: ['op:Gemm'] });
 */
export async function quantize(
  model: Model,
  scheme: string,
  options: Readonly<Record<string, unknown>> = {},
  context: Partial<PassContext> = {},
): Promise<{ model: Model; report: PassReport }> {
  const pass = schemes.find(({ name }) => name === scheme);
  if (!pass) {
    throw new PareError('usage', `quantize: no scheme is named "${scheme}"`, {
      hint: `schemes: ${schemes.map(({ name }) => name).join(', ')}`,
    });
  }
  return applyPass<typeof pass.options>(model, pass as never, options as never, context);
}

export { dynamic } from './dynamic.js';
export { float16 } from './float16.js';
export { staticScheme } from './static.js';
export { weightOnly } from './weight-only.js';

/**
 * Which slices of which weights must leave together: labels every index of every axis, lets each
 * operator's rule join them, and makes families of what stays free. Changes nothing.
 *
 * Simplify with `unshare` before: tied weights make widths hang together that need not, and shapes
 * that could be constants are followed only as far as needed.
 */
import * as z from 'zod/mini';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { concreteTypes } from '../measure/concrete-types.js';
import { type PassContext, passContext, requireEngine } from '../pass.js';
import { type CouplingOptions, couplingOptions } from './coupling-options.js';
import { makeFamilies } from './families.js';
import type { Coupling } from './family.js';
import { chooseDims } from './open-dims.js';
import { propagateLabels } from './propagate.js';
import { smallConstants } from './small-constants.js';

/**
 * Throws `usage` for wrong options or without an engine, which infers the shapes.
 *
 * @example
 * const { families, frozen } = await analyzeCoupling(model, {}, { engine });
 * const cut = new Map([[families[0].id, new Set([0, 3])]]);
 */
export async function analyzeCoupling(
  model: Model,
  options: CouplingOptions,
  context: Partial<PassContext>,
): Promise<Coupling> {
  const parsed = z.safeParse(couplingOptions, options);
  if (!parsed.success) throw new PareError('usage', `coupling: ${z.prettifyError(parsed.error)}`);
  const { split, norms, dims: given } = parsed.data;
  const full = passContext(context);
  const engine = requireEngine(full, 'coupling');
  const { types } = await concreteTypes(engine, model, {
    dims: chooseDims(model, given),
    signal: full.signal,
  });
  const dims = new Map<Value, readonly number[]>();
  for (const value of model.graph.values) {
    const found = value.constant?.dims ?? types(value)?.dims;
    if (found) dims.set(value, found);
  }
  const numbers = await smallConstants(model.graph);
  const found = propagateLabels(model, dims, numbers, split);
  return { model, ...makeFamilies(model, found, norms), dims };
}

/**
 * Collects what a criterion looks at: the numbers of weights, and statistics of activations or
 * gradients where it needs them. Scores nothing.
 */
import type { Model } from '../graph/model.js';
import type { PassContext } from '../pass.js';
import { activationStatistics } from './activation-statistics.js';
import {
  type Criterion,
  type CriterionData,
  connectionsOf,
  consumedCarriers,
} from './criteria/criterion.js';
import type { Coupling, Family } from './family.js';
import { weightGradients } from './weight-gradients.js';

/** Throws `usage` when the criterion needs samples and there are none. */
export async function collectData(
  { model, dims }: Pick<Coupling, 'dims'> & { readonly model: Model },
  families: readonly Family[],
  { need }: Criterion,
  context: PassContext,
): Promise<CriterionData> {
  const weights = new Map<string, Float32Array>();
  for (const { value } of families.flatMap(({ members }) => members)) {
    if (!weights.has(value.name)) weights.set(value.name, await value.constant!.floats());
  }
  if (need === 'gradients') {
    const members = families.flatMap(connectionsOf);
    const names = [...new Set(members.map(({ value }) => value.name))];
    const gradients = await weightGradients(model, names, context);
    return { weights, gradients, seed: context.seed };
  }
  if (need !== 'activations') return { weights, seed: context.seed };
  const requests = new Map(
    families.flatMap(consumedCarriers).flatMap(({ value, axis }) => {
      const rank = dims.get(value)?.length;
      return rank === undefined ? [] : [[value.name, { name: value.name, axis, rank }] as const];
    }),
  );
  const activations = await activationStatistics(model, [...requests.values()], context);
  return { weights, activations, seed: context.seed };
}

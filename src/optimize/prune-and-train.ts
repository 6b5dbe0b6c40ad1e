/** Prunes a model in rounds with training behind each. The steps are those of rounds.ts. */
import type { Model } from '../graph/model.js';
import type { PassReport, TrainingSource } from '../pass.js';
import { type Recipe, type RecipeContext, runRecipe } from './recipe.js';
import { type RoundsRequest, roundSteps } from './rounds.js';

export interface PruneAndTrainContext extends RecipeContext {
  /** Samples to train on, samples that choose the best epoch, and the model that teaches. */
  readonly training: TrainingSource;
}

export interface PruneAndTrainResult {
  readonly model: Model;
  /** What was done: the same recipe on the same model gives the same bytes. */
  readonly recipe: Recipe;
  /** One per step of the recipe. */
  readonly reports: readonly PassReport[];
}

/**
 * Simplifies a model, and prunes and trains it in rounds: each takes the same share of what is
 * left, scores what is there anew, and trains the rest against the teacher.
 *
 * `structured` with `macs` or `params` cuts to shares of the model as it was given, with widths
 * aligned as one cut would align them. `unstructured` with `sparsity` raises it; zeros of earlier
 * rounds stay. The model and the teacher are not changed.
 *
 * @param request.finetune `epochs` are those of all rounds together (default 10)
 * @param context `samples` for criteria and repairs that look at activations, and `labels` of them,
 *   which `taylor` and `hessian` use where there are some
 * @throws PareError `usage` for options that do not fit, `budget` for a target out of reach,
 *   `unsupported` for a model that cannot be trained, `aborted` on the signal
 * @example
 * const training = { dataset, train, validate, teacher: model };
 * const { model: small } = await pruneAndTrain(
 *   model,
 *   { method: 'structured', prune: { macs: 0.5 }, rounds: 4, finetune: { epochs: 20 } },
 *   { engine, samples, training },
 * );
 */
export async function pruneAndTrain(
  model: Model,
  request: RoundsRequest & { readonly finetune: NonNullable<RoundsRequest['finetune']> },
  context: PruneAndTrainContext,
): Promise<PruneAndTrainResult> {
  const recipe = roundSteps(request);
  return { recipe, ...(await runRecipe(model, recipe, context)) };
}

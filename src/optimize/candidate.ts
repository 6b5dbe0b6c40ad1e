/**
 * Candidates of `optimize`: made from recipes, encoded, told apart. Measures nothing.
 */
import type { ModelSource } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { messageOf, PareError, throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { PassContext, PassReport } from '../pass.js';
import { recipeKey, versionKey } from './metadata-keys.js';
import { type Recipe, type RecipeContext, runRecipe } from './recipe.js';
import { type CandidateSpec, isCommonStep } from './targets.js';

export interface Candidate {
  readonly name: string;
  readonly why: string;
  readonly recipe: Recipe;
  readonly model: Model;
  readonly source: ModelSource;
  readonly sizeBytes: number;
  /** One per step of the recipe. */
  readonly reports: readonly PassReport[];
}

/** A candidate that was not worth measuring. */
export interface Dropped {
  readonly spec: CandidateSpec;
  readonly reason: string;
}

export async function makeCandidate(
  original: Model,
  spec: Pick<CandidateSpec, 'name' | 'why' | 'recipe'>,
  version: string,
  context: RecipeContext,
): Promise<Candidate> {
  const { model, reports } = await runRecipe(original, spec.recipe, context);
  model.metadata.set(versionKey, version);
  model.metadata.set(recipeKey, JSON.stringify(spec.recipe));
  const source = await modelSource(model);
  return { ...spec, model, source, sizeBytes: sizeOfSource(source), reports };
}

/** Makes all candidates; drops those that cannot be made, change nothing or equal an earlier one. */
export async function makeCandidates(
  original: Model,
  specs: readonly CandidateSpec[],
  version: string,
  context: PassContext & RecipeContext,
): Promise<{ made: Candidate[]; dropped: Dropped[] }> {
  const task = context.progress.task('make candidates', specs.length);
  const made: Candidate[] = [];
  const dropped: Dropped[] = [];
  const seen = new Map<string, string>();
  try {
    for (const [done, spec] of specs.entries()) {
      throwIfAborted(context.signal);
      task.update(done, spec.name);
      let candidate: Candidate;
      try {
        candidate = await makeCandidate(original, spec, version, context);
      } catch (error) {
        // One scheme that does not know the model must not keep the others from being tried.
        if (
          !(error instanceof PareError) ||
          !/^(unsupported|engine|budget|quality)$/.test(error.code)
        )
          throw error;
        dropped.push({ spec, reason: `cannot be made: ${messageOf(error)}` });
        continue;
      }
      // Steps that are common to all do not tell candidates apart.
      const isOwn = spec.recipe.map((step) => !isCommonStep(step));
      const own = candidate.reports.flatMap(({ changed }, at) =>
        isOwn[at] || !isOwn.includes(true) ? changed : [],
      );
      const key = JSON.stringify(own);
      const twin = seen.get(key);
      if (own.length === 0) {
        dropped.push({ spec, reason: 'the model has nothing that it applies to' });
      } else if (twin) {
        dropped.push({ spec, reason: `the same changes as "${twin}"` });
      } else {
        seen.set(key, spec.name);
        made.push(candidate);
      }
    }
  } finally {
    task.end();
  }
  return { made, dropped };
}

/** Bytes of the model's file and its external data. */
export function sizeOfSource(source: ModelSource): number {
  if (!('parts' in source)) throw new TypeError('sizeOfSource takes a model in memory');
  const parts = [...source.parts, ...[...(source.externalData?.values() ?? [])].flat()];
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

/**
 * A recipe: the steps that make an optimized file of a model, as plain data. The same recipe on
 * the same model gives the same bytes.
 */
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { applyPass, type Pass, type PassContext, type PassReport } from '../pass.js';
import { schemes } from '../quantize/index.js';
import { simplify } from '../simplify/index.js';

export interface Step {
  readonly pass: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export type Recipe = readonly Step[];

type StepRunner = (
  model: Model,
  options: Step['options'],
  context: Partial<PassContext>,
) => Promise<{ model: Model; report: PassReport }>;

const runners: Readonly<Record<string, StepRunner>> = Object.freeze({
  simplify,
  ...Object.fromEntries(
    schemes.map((scheme) => [scheme.name, runnerOf(scheme as unknown as Pass)]),
  ),
});

function runnerOf(pass: Pass): StepRunner {
  return (model, options, context) => applyPass(model, pass, options, context);
}

/** Runs the steps in order on copies; one report per step. Throws `usage` for a step that this version does not know. */
export async function runRecipe(
  model: Model,
  recipe: Recipe,
  context: Partial<PassContext> = {},
): Promise<{ model: Model; reports: PassReport[] }> {
  let current = model;
  const reports: PassReport[] = [];
  for (const step of recipe) {
    const runner = runners[step.pass];
    if (!runner) {
      throw new PareError('usage', `recipe: no pass is named "${step.pass}"`, {
        hint: `known passes: ${Object.keys(runners).join(', ')}`,
      });
    }
    const result = await runner(current, step.options, context);
    current = result.model;
    reports.push(result.report);
  }
  return { model: current, reports };
}

/**
 * A recipe: the steps that make an optimized file of a model, as plain data. The same recipe on
 * the same model gives the same bytes.
 */
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { applyPass, type Pass, type PassContext, type PassReport } from '../pass.js';
import { pruneMethods } from '../prune/index.js';
import { equalize } from '../quantize/accuracy/equalize.js';
import { learnedRounding } from '../quantize/accuracy/learned-rounding.js';
import { smoothQuant } from '../quantize/accuracy/smooth-quant.js';
import { weightScales } from '../quantize/accuracy/weight-scales.js';
import { schemes } from '../quantize/index.js';
import { fuseInput } from '../quantize/io/fuse-input.js';
import { quantizeInput } from '../quantize/io/quantize-input.js';
import { quantizeOutput } from '../quantize/io/quantize-output.js';
import { simplify } from '../simplify/index.js';
import { finetuneStep, finetuneStepName } from '../train/finetune-step.js';
import { preparingPasses } from './preparing.js';

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
  [finetuneStepName]: finetuneStep,
  ...Object.fromEntries(
    [
      ...Object.values(pruneMethods),
      ...schemes,
      ...[equalize, smoothQuant, weightScales, learnedRounding],
      ...[quantizeInput, fuseInput, quantizeOutput],
    ].map((pass) => [pass.name, runnerOf(pass as unknown as Pass)]),
  ),
});

function runnerOf(pass: Pass): StepRunner {
  return (model, options, context) => applyPass(model, pass, options, context);
}

interface StepResult {
  readonly model: Model;
  readonly report: PassReport;
}

export interface RecipeContext extends Partial<PassContext> {
  /**
   * Results of first steps on one and the same model, by the steps up to there: a search runs many
   * recipes that begin alike, and statistics of activations belong to the weights that they were
   * seen with. Beyond the first, only what prepares a model is kept.
   */
  readonly firstSteps?: Map<string, StepResult> | undefined;
}

/**
 * Runs the steps in order on copies; one report per step. Throws `usage` for a step that this
 * version does not know.
 */
export async function runRecipe(
  model: Model,
  recipe: Recipe,
  context: RecipeContext = {},
): Promise<{ model: Model; reports: PassReport[] }> {
  const { firstSteps, ...passContext } = context;
  let current = model;
  let isShared = true;
  const reports: PassReport[] = [];
  for (const [at, step] of recipe.entries()) {
    const runner = runners[step.pass];
    if (!runner) {
      throw new PareError('usage', `recipe: no pass is named "${step.pass}"`, {
        hint: `known passes: ${Object.keys(runners).join(', ')}`,
      });
    }
    isShared &&= at === 0 || preparingPasses.has(step.pass);
    const key = JSON.stringify(recipe.slice(0, at + 1));
    const known = isShared ? firstSteps?.get(key) : undefined;
    const result = known ?? (await runner(current, step.options, passContext));
    if (isShared) firstSteps?.set(key, result);
    current = result.model;
    reports.push(result.report);
  }
  // What is remembered must not change, whatever the caller does with the result.
  return { model: isShared && firstSteps ? cloneModel(current) : current, reports };
}

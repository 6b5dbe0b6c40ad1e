/**
 * The part of pare quantize that looks at single nodes: --sensitivity, --keep-float and --keep-wide.
 */
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import type { Engine } from '../../engine/engine.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { NamedModel } from '../../measure/named-model.js';
import { makeCandidate } from '../../optimize/candidate.js';
import { keepFewest, keepWorst } from '../../optimize/keep-float.js';
import { type ChosenSamples, measurable } from '../../optimize/measuring.js';
import {
  checkPromise,
  coarseness,
  defaultPromise,
  promiseText,
  type QualityPromise,
} from '../../optimize/promise.js';
import type { Recipe, RecipeContext } from '../../optimize/recipe.js';
import { type SensitivityReport, sensitivityReport } from '../../optimize/sensitivity.js';
import type { PassContext } from '../../pass.js';
import { sensitivityText } from '../../report/sensitivity-text.js';
import { version } from '../../version.js';
import type { quantizeOptions } from '../commands/quantize.js';
import { tableSettings } from '../open.js';
import type { Output } from '../output.js';

type Options = z.output<typeof quantizeOptions>;

export interface NodeSearch {
  readonly model: Model;
  readonly original: NamedModel;
  readonly recipe: Recipe;
  /** Place of the scheme in the recipe. */
  readonly step: number;
  readonly dataset: Dataset;
  readonly samples: ChosenSamples;
  readonly engine: Engine;
  readonly context: PassContext & RecipeContext;
}

export interface NodeSearchResult {
  /** The recipe with the nodes that are kept. */
  readonly recipe: Recipe;
  /** Labels of the nodes kept in float, or with 16 bits. */
  readonly kept: readonly string[] | null;
  readonly report: SensitivityReport | null;
}

/** Throws `usage` for flags that would have no effect, before any work. */
export function checkSearchOptions(options: Options): void {
  const { keepFloat, keepWide, sensitivity, scheme, data } = options;
  const refuse = (message: string, hint?: string) => {
    throw new PareError('usage', `quantize: ${message}`, { hint });
  };
  if (keepFloat !== undefined && keepWide !== undefined) {
    refuse('--keep-float and --keep-wide are two ways to treat the same nodes', 'use one of them');
  }
  if (keepWide !== undefined && scheme !== 'static') refuse('--keep-wide is for static');
  const given = promiseOf(options);
  if (given && keepFloat !== 'auto' && keepWide !== 'auto') {
    refuse(
      `a limit (${promiseText(given)}) asks for a search`,
      'add --keep-float auto, or --keep-wide auto',
    );
  }
  const asked = [
    ...(keepFloat !== undefined ? ['--keep-float'] : []),
    ...(keepWide !== undefined ? ['--keep-wide'] : []),
    ...(sensitivity !== undefined ? ['--sensitivity'] : []),
  ];
  if (asked.length > 0 && data === undefined) {
    refuse(`${asked[0]} needs samples to measure on`, 'give --data PATH');
  }
}

/** Undefined when no option asks for a look at single nodes. */
export async function searchNodes(
  search: NodeSearch,
  options: Options,
  output: Output,
): Promise<NodeSearchResult | undefined> {
  const { keepFloat, keepWide, scheme } = options;
  const keep = keepFloat ?? keepWide;
  if (keep === undefined && options.sensitivity === undefined) return undefined;
  const { model, recipe, step, engine, context, dataset, samples, original } = search;
  if (keep === 'auto' && samples.evaluate.length === 0) {
    throw new PareError('invalid-data', 'quantize: no samples are left to check the limits on', {
      hint: 'give fewer of them to the calibration with --samples, or more data',
    });
  }
  const promise = await promiseFor(search, options);
  const coarse = keep === 'auto' ? coarseness(promise, samples.evaluate.length) : undefined;
  if (coarse) output.warn(coarse);
  const candidate = await makeCandidate(model, { name: scheme, why: '', recipe }, version, context);
  const request = {
    ...{ model, original, candidate, engine, version, context, dataset, samples, promise },
    relax: { steps: [step], by: keepWide === undefined ? 'exclude' : 'wide' } as const,
    rankings: new Map(),
  };
  const report = options.sensitivity === undefined ? null : await sensitivityReport(request);
  if (report) output.human(`${sensitivityText(report, request.relax.by, tableSettings(output))}\n`);
  if (keep === undefined) return { recipe, kept: null, report };
  const found = keep === 'auto' ? await keepFewest(request) : await keepWorst(request, keep);
  if (!found) {
    throw new PareError(
      'quality',
      `quantize: ${scheme} does not keep the promise (${promiseText(promise)}) with half of its nodes kept`,
      {
        hint: '--sensitivity FILE shows what each node costs; pare optimize tries the other schemes',
      },
    );
  }
  const how = keepWide === undefined ? 'in float' : 'with 16-bit activations';
  const names = found.nodes.length > 0 ? `: ${found.nodes.join(', ')}` : '';
  output.human(`${found.nodes.length} nodes kept ${how}${names}`);
  return { recipe: found.candidate.recipe, kept: found.nodes, report };
}

async function promiseFor(search: NodeSearch, options: Options): Promise<QualityPromise> {
  const { original, dataset, engine, samples, context } = search;
  const indices = samples.evaluate.length > 0 ? samples.evaluate : samples.search;
  const known = await measurable(original, dataset, engine, indices, context.signal);
  const promise = promiseOf(options) ?? defaultPromise(known);
  checkPromise(promise, known);
  return promise;
}

function promiseOf({ maxDrop, maxFlips, minSnr }: Options): QualityPromise | undefined {
  if (maxDrop === undefined && maxFlips === undefined && minSnr === undefined) return undefined;
  return { maxDrop, maxFlips, minSnr };
}

/**
 * Makes a model smaller and plainer without changing what it computes: runs the rewrites of this
 * folder over a copy until none finds anything more. A rewrite is one file; the list below is all
 * there is, in the order of each round.
 */
import * as z from 'zod/mini';
import { modelSource } from '../engine/model-source.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import {
  definePass,
  type Pass,
  type PassContext,
  type PassReport,
  passContext,
  ReportBuilder,
} from '../pass.js';
import { constantsToInitializers } from './constants-to-initializers.js';
import { dropWeightInputs } from './drop-weight-inputs.js';
import { flushSubnormals } from './flush-subnormals.js';
import { foldAffine } from './fold-affine.js';
import { foldBatchNorm } from './fold-batch-norm.js';
import { foldConstants } from './fold-constants.js';
import { foldShape } from './fold-shape.js';
import { mergeDuplicates } from './merge-duplicates.js';
import { mergeInitializers } from './merge-initializers.js';
import { mergeViews } from './merge-views.js';
import { type SimplifyOptions, simplifyOptions } from './options.js';
import { removeArithmetic } from './remove-arithmetic.js';
import { removeCast } from './remove-cast.js';
import { removeDropout } from './remove-dropout.js';
import { removeExpand } from './remove-expand.js';
import { removeIdentity } from './remove-identity.js';
import { removePad } from './remove-pad.js';
import { removeReshape } from './remove-reshape.js';
import { removeSingleInput } from './remove-single-input.js';
import { removeSlice } from './remove-slice.js';
import { removeTranspose } from './remove-transpose.js';
import { removeUnused } from './remove-unused.js';
import { type Rewrite, type RoundsReport, runRounds } from './run-rounds.js';
import { unshareInitializers } from './unshare-initializers.js';

export type { SimplifyOptions } from './options.js';

/** Every rewrite, in the order of a round. */
export const simplifications: readonly Pass[] = Object.freeze([
  dropWeightInputs,
  constantsToInitializers,
  removeIdentity,
  removeDropout,
  removeUnused,
  mergeInitializers,
  foldShape,
  foldConstants,
  removeCast,
  removeReshape,
  removeTranspose,
  removeSlice,
  removeSingleInput,
  removePad,
  removeExpand,
  removeArithmetic,
  mergeViews,
  mergeDuplicates,
  foldAffine,
  foldBatchNorm,
  flushSubnormals,
  unshareInitializers,
] as Pass[]);

export interface SimplifyReport extends PassReport, RoundsReport {
  readonly notes: readonly string[];
}

/**
 * Simplifies a copy of the model. Inputs and outputs keep their names, order and types, and the
 * outputs their values (BatchNormalization folds within rounding, subnormal weights become 0). With
 * an engine in the context constants are folded and shapes inferred; without one the report says
 * that they are not.
 *
 * Throws `usage` for a rewrite that does not exist.
 *
 * @example
 * const { model: small, report } = await simplify(model, {}, { engine });
 * console.log(report.nodesBefore, report.nodesAfter);
 */
export async function simplify(
  model: Model,
  options: SimplifyOptions = {},
  context: Partial<PassContext> = {},
): Promise<{ model: Model; report: SimplifyReport }> {
  throwIfAborted(context.signal);
  const parsed = z.safeParse(simplifyOptions, options);
  if (!parsed.success) {
    throw new PareError('usage', `simplify: ${z.prettifyError(parsed.error)}`);
  }
  const full = passContext(context);
  const copy = cloneModel(model);
  const report = await simplifyInPlace(copy, parsed.data, full);
  const refusal = await refusedBy(full, copy);
  if (refusal === undefined || (await refusedBy(full, model)) !== undefined) {
    return { model: copy, report };
  }
  // A folded shape can show the runtime a contradiction that it could not see before (a branch
  // that never runs, say). A model that loads matters more than a few nodes.
  const again = cloneModel(model);
  const exclude = [...parsed.data.exclude, foldShape.name, foldConstants.name];
  const careful = await simplifyInPlace(again, { ...parsed.data, exclude }, full);
  const notes = [
    ...careful.notes,
    `${foldShape.name} and ${foldConstants.name} are left out: with them the runtime refuses the model: ${refusal}`,
  ];
  return { model: again, report: { ...careful, notes } };
}

/**
 * Why the runtime does not load the model; undefined when it does, or without an engine. Only
 * asked of models with subgraphs: a branch that the runtime inlines is where it finds more.
 */
async function refusedBy({ engine }: PassContext, model: Model): Promise<string | undefined> {
  const branches = [...model.graph.nodes].some(({ subgraphs }) => subgraphs.length > 0);
  if (!engine || !branches) return undefined;
  try {
    await (await engine.createSession(await modelSource(model))).release();
    return undefined;
  } catch (error) {
    if (error instanceof PareError && error.code === 'engine') return error.message;
    throw error;
  }
}

/** `simplify` as a step among other passes. */
export const simplifyPass = definePass({
  name: 'simplify',
  summary: 'Folds constants and normalizations, removes what does nothing, merges duplicates.',
  options: simplifyOptions,
  async run(model, options, context) {
    const { changed, skipped, notes } = await simplifyInPlace(model, options, context);
    const report = new ReportBuilder();
    report.changed.push(...changed);
    report.skipped.push(...skipped);
    report.notes.push(...notes);
    return report;
  },
});

type Options = z.output<typeof simplifyOptions>;

async function simplifyInPlace(
  model: Model,
  options: Options,
  context: PassContext,
): Promise<SimplifyReport> {
  const notes: string[] = [];
  const rewrites = chooseRewrites(options, context, notes);
  const report = await runRounds(model, rewrites, context);
  const { passes } = report;
  return {
    ...report,
    pass: 'simplify',
    options,
    changed: passes.flatMap(({ changed }) => changed),
    skipped: passes.flatMap(({ skipped }) => skipped),
    notes: [...notes, ...report.notes, ...passes.flatMap((pass) => pass.notes)],
  };
}

function chooseRewrites(options: Options, context: PassContext, notes: string[]): Rewrite[] {
  const names = simplifications.map(({ name }) => name);
  for (const name of [...(options.include ?? []), ...options.exclude]) {
    if (names.includes(name)) continue;
    throw new PareError('usage', `simplify: no rewrite is named "${name}"`, {
      hint: `the rewrites are ${names.join(', ')}`,
    });
  }
  const chosen = new Set(
    options.include ?? names.filter((name) => name !== unshareInitializers.name),
  );
  if (options.unshare) {
    chosen.add(unshareInitializers.name);
    chosen.delete(mergeInitializers.name);
  }
  for (const name of options.exclude) chosen.delete(name);
  if (chosen.has(mergeInitializers.name) && chosen.has(unshareInitializers.name)) {
    throw new PareError(
      'usage',
      `simplify: ${mergeInitializers.name} and ${unshareInitializers.name} undo each other`,
      { hint: 'exclude one of them' },
    );
  }
  if (!options.include && !context.engine && chosen.delete(foldConstants.name)) {
    notes.push(`${foldConstants.name} is left out: it needs an engine, and none was given`);
  }
  const own: Readonly<Record<string, object>> = {
    [foldConstants.name]: { limitBytes: options.foldLimitBytes },
  };
  return simplifications
    .filter(({ name }) => chosen.has(name))
    .map((pass) => ({ pass, options: z.parse(pass.options, own[pass.name] ?? {}) }));
}

/**
 * Makes a model smaller and plainer without changing what it computes: runs the rewrites of this
 * folder over a copy until none finds anything more. A rewrite is one file; the list below is all
 * there is, in the order of each round.
 */
import * as z from 'zod/mini';
import { inferShapes } from '../engine/shapes.js';
import { messageOf, PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import type { ValueType } from '../graph/value-type.js';
import {
  type Change,
  definePass,
  type Pass,
  type PassContext,
  type PassReport,
  passContext,
  ReportBuilder,
  type Skip,
} from '../pass.js';
import { constantsToInitializers } from './constants-to-initializers.js';
import { dropWeightInputs } from './drop-weight-inputs.js';
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
  unshareInitializers,
] as Pass[]);

export interface SimplifyReport extends PassReport {
  /** One report per rewrite: changes of all rounds, skips of the last one. */
  readonly passes: readonly PassReport[];
  /** Nodes, those of subgraphs and functions included. */
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  readonly rounds: number;
}

/** Each round makes something smaller, so a bound is only a safeguard. */
const maxRounds = 20;

/**
 * Simplifies a copy of the model. Inputs and outputs keep their names, order and types, and the
 * outputs their values (BatchNormalization folds within rounding). With an engine in the context
 * constants are folded and shapes inferred; without one the report says that they are not.
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
  const copy = cloneModel(model);
  return { model: copy, report: await simplifyInPlace(copy, parsed.data, passContext(context)) };
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
  const records = chooseRewrites(options, context, notes).map((chosen) => new PassRecord(chosen));
  const nodesBefore = countNodes(model);
  const restoreTypes = rememberTypes(model);
  const task = context.progress.task('simplify');
  let notInferred: string | undefined;
  let rounds = 0;
  for (let changed = true; changed; ) {
    if (++rounds > maxRounds) {
      notes.push(`stopped after ${maxRounds} rounds, though more could be simplified`);
      break;
    }
    // Folded shapes make more of them known.
    notInferred = await tryInference(model, context);
    changed = false;
    for (const record of records) {
      throwIfAborted(context.signal);
      task.update(rounds, record.name);
      if (await record.run(model, context)) changed = true;
    }
  }
  if (notInferred) notes.push(notInferred);
  restoreTypes();
  task.end();
  const passes = records.map((record) => record.report());
  return {
    pass: 'simplify',
    options,
    changed: passes.flatMap((report) => report.changed),
    skipped: passes.flatMap((report) => report.skipped),
    notes: [...notes, ...passes.flatMap((report) => report.notes)],
    passes,
    nodesBefore,
    nodesAfter: countNodes(model),
    rounds,
  };
}

interface Chosen {
  readonly pass: Pass;
  readonly options: unknown;
}

function chooseRewrites(options: Options, context: PassContext, notes: string[]): Chosen[] {
  const names = simplifications.map(({ name }) => name);
  for (const name of [...(options.include ?? []), ...options.exclude]) {
    if (names.includes(name)) continue;
    throw new PareError('usage', `simplify: no rewrite is named "${name}"`, {
      hint: `the rewrites are ${names.join(', ')}`,
    });
  }
  const left = new Set(options.exclude);
  if (!options.include) {
    // The two undo each other's work.
    left.add(options.unshare ? mergeInitializers.name : unshareInitializers.name);
    if (!context.engine && !left.has(foldConstants.name)) {
      left.add(foldConstants.name);
      notes.push(`${foldConstants.name} is left out: it needs an engine, and none was given`);
    }
  }
  const own: Readonly<Record<string, object>> = {
    [foldConstants.name]: { limitBytes: options.foldLimitBytes },
  };
  return simplifications
    .filter(({ name }) => (options.include?.includes(name) ?? true) && !left.has(name))
    .map((pass) => ({ pass, options: z.parse(pass.options, own[pass.name] ?? {}) }));
}

/** What one rewrite did over all rounds. */
class PassRecord {
  readonly #chosen: Chosen;
  readonly #changed: Change[] = [];
  readonly #notes: string[] = [];
  /** Of the last round: what an earlier one left may have been done since. */
  #skipped: readonly Skip[] = [];

  constructor(chosen: Chosen) {
    this.#chosen = chosen;
  }

  get name(): string {
    return this.#chosen.pass.name;
  }

  /** True when it changed nodes. */
  async run(model: Model, context: PassContext): Promise<boolean> {
    const { pass, options } = this.#chosen;
    const { changed, skipped, notes } = await pass.run(model, options, context);
    this.#changed.push(...changed);
    this.#notes.push(...notes);
    this.#skipped = skipped;
    return changed.length > 0;
  }

  report(): PassReport {
    return {
      pass: this.name,
      options: this.#chosen.options,
      changed: this.#changed,
      skipped: this.#skipped,
      notes: this.#notes,
    };
  }
}

/** Why types could not be inferred; a later round, with less in the model, may succeed. */
async function tryInference(model: Model, context: PassContext): Promise<string | undefined> {
  if (!context.engine) return undefined;
  try {
    await inferShapes(context.engine, model, { signal: context.signal });
    return undefined;
  } catch (error) {
    if (!(error instanceof PareError) || error.code !== 'engine') throw error;
    return `shapes are those of the file, since the runtime cannot infer them: ${messageOf(error)}`;
  }
}

/**
 * Inferred types serve the rewrites; in the file they would only take room. The function returned
 * gives values the types that they had, and outputs the types that the interface had.
 */
function rememberTypes(model: Model): () => void {
  const types = new Map<Value, ValueType | undefined>();
  const constants = new Set<Value>();
  const outputs = new Map<Graph, (ValueType | undefined)[]>();
  for (const graph of model.allGraphs()) {
    for (const value of graph.values) {
      types.set(value, value.type);
      if (value.isConstant) constants.add(value);
    }
    outputs.set(
      graph,
      graph.outputs.map((output) => output.type),
    );
  }
  return () => {
    for (const graph of model.allGraphs()) {
      for (const value of graph.values) {
        // Tensors of folded constants tell their own type.
        const folded = value.isConstant && !constants.has(value);
        value.type = folded ? undefined : types.get(value);
      }
      for (const [i, type] of outputs.get(graph)?.entries() ?? []) graph.outputs[i]!.type = type;
    }
  };
}

function countNodes(model: Model): number {
  return [...model.allNodes()].length;
}

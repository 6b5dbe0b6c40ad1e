/**
 * What a pass is: one named change of a model with options from a schema, and a report of what it
 * did, what it left alone and why. Passes edit the model they are given; `applyPass` gives them a
 * copy, so that a caller's model never changes.
 */
import * as z from 'zod/mini';
import type { Dataset } from './data/dataset.js';
import type { Engine, Feeds } from './engine/engine.js';
import { PareError, throwIfAborted } from './errors.js';
import { cloneModel } from './graph/clone.js';
import type { Model } from './graph/model.js';
import type { Node } from './graph/node.js';
import { type Progress, silent } from './progress.js';
import type { StatisticsCache } from './quantize/calibrate/cache.js';
import type { CalibrationTable } from './quantize/calibrate/table.js';

/** What passes may use besides the model. */
export interface PassContext {
  readonly engine?: Engine | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress: Progress;
  /** Seed of everything random. */
  readonly seed: number;
  /** Samples of the model's inputs, for passes that look at activations. Can be called again. */
  readonly samples?: (() => AsyncIterable<Feeds>) | undefined;
  /** Class numbers of the samples, in their order; undefined for one without. */
  readonly labels?: (() => AsyncIterable<number | undefined>) | undefined;
  /** What a step that trains learns from. */
  readonly training?: TrainingSource | undefined;
  /** Statistics of activations on these samples, kept from pass to pass. */
  readonly statistics?: StatisticsCache | undefined;
  /** Statistics and ranges that were saved before, in place of samples. */
  readonly calibration?: CalibrationTable | undefined;
}

export interface TrainingSource {
  /** Opened for the model's inputs. */
  readonly dataset: Dataset;
  /** Samples that train, and others that choose the best epoch; none that evaluates. */
  readonly train: Uint32Array;
  readonly validate: Uint32Array;
  /** The model as it was before all steps. */
  readonly teacher: Model;
}

/** One thing that a pass changed. */
export interface Change {
  /** Label of the node (see Node.label). */
  readonly node: string;
  /** Operator with its domain. */
  readonly op: string;
  /** What was done to it, as a short phrase: 'folded into conv1', 'int8 per channel'. */
  readonly what: string;
  /** The change follows from others: the node could not be left out, or changed, by itself. */
  readonly follows?: true;
}

/** One thing that a pass could have changed and did not. */
export interface Skip {
  readonly node: string;
  readonly op: string;
  /** Why, as a phrase that a user understands without the source. */
  readonly reason: string;
}

export interface PassReport {
  readonly pass: string;
  readonly options: unknown;
  readonly changed: readonly Change[];
  readonly skipped: readonly Skip[];
  /** Remarks on the whole, such as 'opset raised from 11 to 21'. */
  readonly notes: readonly string[];
  /** Remarks that nobody should overlook: commands show them whatever else they show. Absent: none. */
  readonly warnings?: readonly string[];
  /** What only this pass has to tell, such as the plan of a cut. Plain JSON. */
  readonly details?: unknown;
}

export interface Pass<Schema extends z.ZodMiniType = z.ZodMiniType> {
  /** kebab-case, unique. */
  readonly name: string;
  /** One sentence for help and documentation. */
  readonly summary: string;
  readonly options: Schema;
  run(model: Model, options: z.output<Schema>, context: PassContext): Promise<ReportBuilder>;
}

/**
 * @example
 * const dropIdentity = definePass({
 *   name: 'drop-identity',
 *   summary: 'Removes Identity nodes.',
 *   options: z.object({}),
 *   async run(model, options, context) { ... },
 * });
 */
export function definePass<Schema extends z.ZodMiniType>(pass: Pass<Schema>): Pass<Schema> {
  return Object.freeze(pass);
}

/** Collects a report while a pass runs. */
export class ReportBuilder {
  readonly changed: Change[] = [];
  readonly skipped: Skip[] = [];
  readonly notes: string[] = [];
  readonly warnings: string[] = [];
  details: unknown;

  change(node: Node, what: string): void {
    this.changed.push({ node: node.label, op: node.op, what });
  }

  /** A change that follows from others. */
  follow(node: Node, what: string): void {
    this.changed.push({ node: node.label, op: node.op, what, follows: true });
  }

  skip(node: Node, reason: string): void {
    this.skipped.push({ node: node.label, op: node.op, reason });
  }

  note(text: string): void {
    this.notes.push(text);
  }

  warn(text: string): void {
    this.warnings.push(text);
  }
}

/** Defaults for what a caller leaves out. */
export function passContext(context: Partial<PassContext> = {}): PassContext {
  return { ...context, progress: context.progress ?? silent, seed: context.seed ?? 0 };
}

/** The engine of the context; throws `usage` when the caller gave none. */
export function requireEngine(context: PassContext, pass: string): Engine {
  if (context.engine) return context.engine;
  throw new PareError('usage', `${pass}: needs an engine to run the model`, {
    hint: 'pass { engine: await createNodeEngine() } from "pare/node"',
  });
}

/**
 * Runs one pass on a copy of the model. Options are checked against the schema: a wrong one is a
 * `usage` error.
 */
export async function applyPass<Schema extends z.ZodMiniType>(
  model: Model,
  pass: Pass<Schema>,
  options: z.input<Schema>,
  context: Partial<PassContext> = {},
): Promise<{ model: Model; report: PassReport }> {
  throwIfAborted(context.signal);
  const parsed = z.safeParse(pass.options, options);
  if (!parsed.success) {
    throw new PareError('usage', `${pass.name}: ${z.prettifyError(parsed.error)}`);
  }
  const copy = cloneModel(model);
  const {
    changed,
    skipped,
    notes,
    warnings = [],
    details,
  } = await pass.run(copy, parsed.data, passContext(context));
  const report: PassReport = {
    pass: pass.name,
    options: parsed.data,
    ...{ changed, skipped, notes },
    ...(warnings.length > 0 && { warnings }),
    ...(details !== undefined && { details }),
  };
  return { model: copy, report };
}

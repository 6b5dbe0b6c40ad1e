/**
 * Runs rewrites over a model in rounds until none changes anything, with types inferred anew in
 * each round, and keeps what each of them reports. Knows no rewrite.
 */
import { inferShapes } from '../engine/shapes.js';
import { messageOf, PareError, throwIfAborted } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Change, Pass, PassContext, PassReport, Skip } from '../pass.js';
import { rememberTypes } from './remember-types.js';

/** A pass with its options, which are checked already. */
export interface Rewrite {
  readonly pass: Pass;
  readonly options: unknown;
}

export interface RoundsReport {
  /** One report per rewrite: changes of all rounds, skips of the last one. */
  readonly passes: readonly PassReport[];
  readonly notes: readonly string[];
  /** Nodes, those of subgraphs and functions included. */
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  readonly rounds: number;
}

/** Each round makes something smaller, so a bound is only a safeguard. */
const maxRounds = 200;

/** Edits the model it is given. */
export async function runRounds(
  model: Model,
  rewrites: readonly Rewrite[],
  context: PassContext,
): Promise<RoundsReport> {
  const notes: string[] = [];
  const records = rewrites.map((rewrite) => new PassRecord(rewrite));
  const nodesBefore = countNodes(model);
  const restoreTypes = rememberTypes(model);
  const task = context.progress.task('simplify');
  let notInferred: string | undefined;
  let rounds = 0;
  try {
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
  } finally {
    task.end();
    restoreTypes();
  }
  if (notInferred) notes.push(notInferred);
  return {
    passes: records.map((record) => record.report()),
    notes,
    nodesBefore,
    nodesAfter: countNodes(model),
    rounds,
  };
}

/** What one rewrite did over all rounds. */
class PassRecord {
  readonly #rewrite: Rewrite;
  readonly #changed: Change[] = [];
  readonly #notes: string[] = [];
  /** Of the last round: what an earlier one left may have been done since. */
  #skipped: readonly Skip[] = [];

  constructor(rewrite: Rewrite) {
    this.#rewrite = rewrite;
  }

  get name(): string {
    return this.#rewrite.pass.name;
  }

  /** True when it changed nodes. */
  async run(model: Model, context: PassContext): Promise<boolean> {
    const { pass, options } = this.#rewrite;
    const { changed, skipped, notes } = await pass.run(model, options, context);
    this.#changed.push(...changed);
    this.#notes.push(...notes);
    this.#skipped = skipped;
    return changed.length > 0;
  }

  report(): PassReport {
    return {
      pass: this.name,
      options: this.#rewrite.options,
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

function countNodes(model: Model): number {
  return [...model.allNodes()].length;
}

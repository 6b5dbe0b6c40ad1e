/**
 * The main job: makes the candidates that can pay on the target, measures each on the runtime,
 * and returns the best one that keeps the promise, or none. No numerics of its own.
 *
 * Order of work, cheapest first: make and encode; time all beside the original and drop what is
 * neither smaller nor faster; evaluate the rest in one pass over the data; for those that lose
 * too much, look for the few nodes to leave in float; time the finalists again, longer.
 */
import type * as z from 'zod/mini';
import type { Dataset } from '../data/dataset.js';
import type { Engine, Feeds, Target } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { sumsSaturate } from '../engine/saturation.js';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { BenchRow } from '../measure/bench.js';
import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import type { NamedModel } from '../measure/named-model.js';
import { passContext } from '../pass.js';
import { type Progress, silent } from '../progress.js';
import { criterionNamed } from '../prune/criteria/index.js';
import type { finetuneOptions } from '../train/finetune-options.js';
import { type Candidate, type Dropped, makeCandidates, sizeOfSource } from './candidate.js';
import { choose, type Goal } from './choose.js';
import {
  calibrationContext,
  chooseSamples,
  feedsOfSample,
  measurable,
  measuredOf,
  namedModel,
  originalName,
  portsOf,
  qualityOf,
  refusalOf,
  timeModels,
} from './measuring.js';
import {
  brokenLimits,
  checkPromise,
  coarseness,
  defaultPromise,
  type QualityPromise,
} from './promise.js';
import type { Recipe, Step } from './recipe.js';
import type { NodeDamage } from './relax.js';
import { relaxCandidate } from './relax-candidate.js';
import { roundSteps } from './rounds.js';
import {
  type Borders,
  type CandidateSpec,
  candidatesFor,
  hasFullRange,
  withBorders,
  withPruning,
  withReducedRange,
} from './targets.js';

export interface OptimizeOptions {
  readonly target: Target;
  /** Default 'balanced'. */
  readonly goal?: Goal | undefined;
  /** Default: see defaultPromise. */
  readonly promise?: QualityPromise | undefined;
  /** Share of MACs to take out, in (0, 1): candidates with fewer channels and heads. Default none. */
  readonly prune?: number | undefined;
  /** What leaves first, see the pass `prune-structured`. Default wanda. */
  readonly criterion?: string | undefined;
  /** The cut is made in as many parts, with training behind each. Default 1. */
  readonly rounds?: number | undefined;
  /**
   * Options of fine-tuning behind the cut of `prune`, such as `{ epochs: 5 }`, in all rounds
   * together. Default none.
   */
  readonly finetune?: z.input<typeof finetuneOptions> | undefined;
  /**
   * Weights of integer kernels in 7 bits, so that sums hold on x64 CPUs without VNNI too, whose
   * 16-bit sums saturate. Default: where the sums of this engine do.
   */
  readonly reduceRange?: boolean | undefined;
  /** Integers at the model's inputs and outputs. Default none. */
  readonly borders?: Borders | undefined;
  /** Threads of the runtime while timing. Default 1. */
  readonly threads?: number | undefined;
  /** Most samples that are evaluated. Default all but those for the search. */
  readonly samples?: number | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
  /** Version of pare, written into the files' metadata. */
  readonly version: string;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** One row of the result's table. Plain JSON; null is what was not measured. */
export interface CandidateResult {
  readonly name: string;
  readonly why: string;
  readonly recipe: Recipe;
  readonly sizeBytes: number | null;
  readonly bench: BenchRow | null;
  readonly evaluation: Evaluation | null;
  readonly verdict: 'chosen' | 'kept' | 'rejected';
  /** Why it was rejected. */
  readonly reasons: readonly string[];
}

export interface OptimizeResult {
  readonly goal: Goal;
  readonly promise: QualityPromise;
  readonly original: {
    readonly sizeBytes: number;
    readonly bench: BenchRow;
    readonly evaluation: Evaluation;
  };
  readonly candidates: readonly CandidateResult[];
  /** The model to write; undefined when nothing helps. */
  readonly winner: Candidate | undefined;
  /**
   * Why there is no winner: 'quality' when a candidate that is smaller or faster breaks the
   * promise, 'budget' when none is smaller or faster. Null when there is one.
   */
  readonly failure: 'quality' | 'budget' | null;
  /** What the reader of the figures should know. */
  readonly notes: readonly string[];
  /** How many samples the search used, trained and were evaluated; they are disjoint. */
  readonly samples: {
    readonly search: number;
    readonly train: number;
    readonly evaluate: number;
  };
}

/**
 * Writes nothing and leaves the model as it is.
 *
 * @param dataset opened for the model's inputs
 * @throws PareError `usage` when a limit of the promise cannot be measured, `invalid-data` for
 *   fewer than two samples, `data-mismatch` for samples that do not fit, `unsupported` for a
 *   target without candidates
 * @example
 * const result = await optimize(model, dataset, engine, { target: 'node', version: '0.1.0' });
 * if (result.winner) await write(result.winner.source);
 */
export async function optimize(
  model: Model,
  dataset: Dataset,
  engine: Engine,
  options: OptimizeOptions,
): Promise<OptimizeResult> {
  const { signal, progress = silent, goal = 'balanced', seed = 0, threads = 1, version } = options;
  const { finetune } = options;
  const cut = cutOf(options);
  const source = await modelSource(model);
  const original: NamedModel = { name: originalName, source };
  const sizeBytes = sizeOfSource(source);
  const samples = chooseSamples(dataset, options.samples, seed, finetune !== undefined);
  const feeds = await feedsOfSample(dataset, engine, original, samples.evaluate[0]!);
  const timing = { engine, threads, signal, progress };
  const ports = await portsOf(engine, original);
  const calibration = calibrationContext(dataset, ports, samples.search);
  const context = {
    ...passContext({ engine, signal, progress, seed, ...calibration }),
    training: { dataset, train: samples.train, validate: samples.search, teacher: model },
    firstSteps: new Map(),
  };

  const saturates = await sumsSaturate(engine);
  const fullRange = candidatesFor(options.target);
  const plain = (options.reduceRange ?? saturates) ? withReducedRange(fullRange) : fullRange;
  const specs = withBorders(cut ? withPruning(plain, cut) : plain, options.borders ?? {});
  const known = await measurable(original, dataset, engine, samples.evaluate, signal);
  const promise = options.promise ?? defaultPromise(known);
  checkPromise(promise, known);
  const { made: all, dropped: unmade } = await makeCandidates(model, specs, version, context);
  const { made, dropped: refused } = await dropRefused(all, specs, feeds, engine);
  const dropped = [...unmade, ...refused];
  const rows = await timeModels([original, ...made.map(namedModel)], feeds, {
    ...timing,
    rounds: 15,
    memory: false,
  });
  // Quality is not known yet: size and speed alone can reject here.
  const useful = choose(
    { sizeBytes },
    made.map((each) => measuredOf(each, rows)),
    {},
    goal,
  );
  const worth = made.filter((_, at) => useful.verdicts[at]!.kept);

  const [reference, ...evaluations] = await evaluate(
    [original, ...worth.map(namedModel)],
    dataset,
    engine,
    { indices: samples.evaluate, signal, progress },
  );
  const quality = new Map(evaluations.map((each) => [each.model, each]));
  const keeps = ({ name }: Candidate) =>
    brokenLimits(promise, qualityOf(quality.get(name)!)).length === 0;
  const rankings = new Map<string, readonly NodeDamage[]>();
  const relaxed: Candidate[] = [];
  for (const candidate of worth) {
    const { relax } = specs.find(({ name }) => name === candidate.name)!;
    if (keeps(candidate) || !relax) continue;
    const request = { model, original, candidate, relax, promise, dataset, samples, engine };
    const rescued = await relaxCandidate({ ...request, version, context, rankings });
    if (!rescued) continue;
    relaxed.push(rescued.candidate);
    quality.set(rescued.candidate.name, rescued.evaluation);
  }

  const finalists = [...worth.filter(keeps), ...relaxed];
  if (finalists.length > 0) {
    const finalRows = await timeModels([original, ...finalists.map(namedModel)], feeds, {
      ...timing,
      rounds: 60,
      memory: true,
    });
    for (const [name, row] of finalRows) rows.set(name, row);
  }
  const choice = choose(
    { sizeBytes },
    finalists.map((each) => measuredOf(each, rows, quality.get(each.name))),
    promise,
    goal,
  );
  const verdicts = new Map(
    [...useful.verdicts.filter(({ kept }) => !kept), ...choice.verdicts].map((each) => [
      each.name,
      each,
    ]),
  );
  const resultOf = (candidate: Candidate): CandidateResult => {
    const { name, why, recipe } = candidate;
    const evaluation = quality.get(name) ?? null;
    const broken = evaluation ? brokenLimits(promise, qualityOf(evaluation)) : [];
    const reasons = verdicts.get(name)?.reasons ?? broken;
    const verdict = name === choice.winner ? 'chosen' : reasons.length > 0 ? 'rejected' : 'kept';
    const bench = rows.get(name) ?? null;
    const { sizeBytes } = candidate;
    return { name, why, recipe, sizeBytes, bench, evaluation, verdict, reasons };
  };
  const winner = finalists.find(({ name }) => name === choice.winner);
  return {
    goal,
    promise,
    original: { sizeBytes, bench: rows.get(originalName)!, evaluation: reference! },
    candidates: [
      ...[...made, ...relaxed].map(resultOf),
      ...dropped.map(({ spec: { name, why, recipe }, reason }): CandidateResult => {
        const unmeasured = { sizeBytes: null, bench: null, evaluation: null };
        return { name, why, recipe, ...unmeasured, verdict: 'rejected', reasons: [reason] };
      }),
    ],
    winner,
    failure:
      choice.winner !== undefined
        ? null
        : worth.some((each) => !keeps(each))
          ? 'quality'
          : 'budget',
    notes: [...rangeNotes(options, saturates, winner), ...notesOf(promise, reference!)],
    samples: {
      search: samples.search.length,
      train: samples.train.length,
      evaluate: samples.evaluate.length,
    },
  };
}

/** The steps that all pruned candidates begin with; undefined where nothing is to be cut. */
function cutOf({ prune, criterion, finetune, rounds }: OptimizeOptions): Step[] | undefined {
  if (prune === undefined) {
    const given = finetune ? 'finetune' : rounds === undefined ? 'criterion' : 'rounds';
    if (!finetune && rounds === undefined && criterion === undefined) return undefined;
    throw new PareError('usage', `optimize: ${given} is for a cut, and nothing is to be cut`, {
      hint: 'say how much to take out, such as --prune 50%, or train the model with pare finetune',
    });
  }
  if (criterion !== undefined) criterionNamed(criterion);
  return roundSteps({
    method: 'structured',
    prune: { macs: prune, ...(criterion !== undefined && { criterion }) },
    finetune,
    rounds,
  });
}

/** A candidate that the runtime does not take is one candidate less, and not the end. */
async function dropRefused(
  all: readonly Candidate[],
  specs: readonly CandidateSpec[],
  feeds: Feeds,
  engine: Engine,
): Promise<{ made: Candidate[]; dropped: Dropped[] }> {
  const made: Candidate[] = [];
  const dropped: Dropped[] = [];
  for (const candidate of all) {
    const refusal = await refusalOf(namedModel(candidate), feeds, engine);
    const spec = specs.find(({ name }) => name === candidate.name)!;
    if (refusal === undefined) made.push(candidate);
    else dropped.push({ spec, reason: `the runtime does not take it: ${refusal}` });
  }
  return { made, dropped };
}

/** For whom integer kernels give the results that were measured. */
function rangeNotes(
  { target, reduceRange }: OptimizeOptions,
  saturates: boolean,
  winner: Candidate | undefined,
): string[] {
  if (saturates && reduceRange === undefined) {
    return [
      'integer sums saturate on this machine (x64 without VNNI): weights of integer kernels take 7 bits',
    ];
  }
  if (saturates || target !== 'node' || !winner || !hasFullRange(winner.recipe)) return [];
  return [
    'the integer kernels were measured where sums do not saturate; on x64 CPUs without VNNI results can be wrong: --reduce-range makes a file for both',
  ];
}

function notesOf(promise: QualityPromise, reference: Evaluation): string[] {
  const { samples, tokens } = reference;
  const coarse = coarseness(promise, tokens?.n ?? samples);
  return [...(coarse ? [coarse] : []), ...reference.notes];
}

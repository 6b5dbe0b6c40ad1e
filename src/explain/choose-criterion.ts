/**
 * Which criterion of structured pruning is the most faithful on this model: every one that the model
 * and the data allow chooses what leaves, a tenth to a half of the units, on one half of the
 * samples; what is left is run on the other half, units at zero and nothing repaired. The criterion
 * that keeps most over the whole of the curve wins. Cuts nothing for good.
 */
import type { EngineSession, Feeds } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { type PassContext, passContext, requireEngine } from '../pass.js';
import { nodeMatcher } from '../pattern.js';
import { analyzeCoupling } from '../prune/analyze-coupling.js';
import type { Criterion, CriterionData, Need } from '../prune/criteria/criterion.js';
import { criteria } from '../prune/criteria/index.js';
import { collectData } from '../prune/criterion-data.js';
import type { Coupling, Cut } from '../prune/family.js';
import { zeroedModel } from '../prune/proof.js';
import { scoresOf } from '../prune/scores.js';
import { costModel } from '../prune/select/cost.js';
import type { ScoredFamily } from '../prune/select/moves.js';
import { selectUnits } from '../prune/select/select.js';
import type { StructuredOptions } from '../prune/structured-options.js';
import { area } from './estimate.js';
import { openForward } from './subject.js';
import { chooseTarget, logitsOf, scoreRows, type Target, targetsOf } from './target.js';

/** Plain JSON. */
export interface CriterionChoice {
  /** The winner. */
  readonly criterion: string;
  /** Shares of units at zero: the places of the curves. */
  readonly shares: readonly number[];
  /** The most faithful first. */
  readonly rows: readonly CriterionRow[];
  /** Criteria that could not take part. */
  readonly skipped: readonly { readonly criterion: string; readonly reason: string }[];
  /** Samples that the curves were measured on; criteria saw as many others. */
  readonly samples: number;
  /** 'predicted': the predictions of the whole model stand for labels. */
  readonly labels: 'given' | 'predicted' | 'next-token';
}

export interface CriterionRow {
  readonly criterion: string;
  /** Area under `accuracy` over the shares, divided by their span: the mean share of hits. */
  readonly kept: number;
  readonly accuracy: readonly number[];
  readonly loss: readonly number[];
}

export type ChooseOptions = Pick<
  StructuredOptions,
  'reduction' | 'normalizer' | 'scope' | 'largestShare' | 'exclude' | 'split' | 'norms' | 'dims'
>;

const shares: readonly number[] = Object.freeze([0, 0.1, 0.2, 0.3, 0.4, 0.5]);

/**
 * @param model simplified, with tensors unshared, as `pare prune` does it
 * @throws PareError `usage` without samples, `invalid-data` for fewer than two, `unsupported` where
 *   no criterion can take part
 */
export async function chooseCriterion(
  model: Model,
  options: ChooseOptions,
  context: Partial<PassContext>,
): Promise<CriterionChoice> {
  const full = passContext(context);
  const engine = requireEngine(full, 'explain');
  const samples = await halves(full);
  const { split, norms, dims } = options;
  const coupling = await analyzeCoupling(cloneModel(model), { split, norms, dims }, full);
  const curve = await openCurve(coupling, samples.odd, full);
  const seen: PassContext = {
    ...full,
    engine,
    samples: async function* () {
      for (const { feeds } of samples.even) yield feeds;
    },
    labels:
      full.labels &&
      async function* () {
        for (const { label } of samples.even) yield label;
      },
  };
  const costs = await costModel(coupling, (value) => typeOf(coupling, value));
  const collected = new Map<Need, CriterionData>();
  const rows: CriterionRow[] = [];
  const skipped: { criterion: string; reason: string }[] = [];
  const candidates = criteria.filter(({ name }) => name !== 'random');
  const task = full.progress.task('explain: criteria', candidates.length);
  for (const [at, criterion] of candidates.entries()) {
    task.update(at, criterion.name);
    const scored = await scoreAll(coupling, criterion, collected, options, seen);
    if ('reason' in scored) skipped.push({ criterion: criterion.name, ...scored });
    else {
      const points = [curve.whole];
      for (const share of shares.slice(1)) {
        throwIfAborted(full.signal);
        const { scope, largestShare } = options;
        const target = { kind: 'ratio', share } as const;
        const { cut } = selectUnits(scored, target, costs, { scope, align: 1, largestShare });
        points.push(await curve.measure(cut));
      }
      const accuracy = points.map((point) => point.accuracy);
      const kept = area(shares, accuracy) / shares.at(-1)!;
      rows.push({
        criterion: criterion.name,
        kept,
        accuracy,
        loss: points.map(({ loss }) => loss),
      });
    }
  }
  task.end();
  rows.sort((a, b) => b.kept - a.kept || meanOf(a.loss) - meanOf(b.loss));
  if (rows.length === 0) {
    throw new PareError('unsupported', 'explain: no criterion can judge the widths of this model', {
      hint: skipped.map(({ criterion, reason }) => `${criterion}: ${reason}`).join('; '),
    });
  }
  const { labels } = curve;
  return {
    criterion: rows[0]!.criterion,
    shares,
    rows,
    skipped,
    samples: samples.odd.length,
    labels,
  };
}

interface LabelledFeeds {
  readonly feeds: Feeds;
  readonly label: number | undefined;
}

/** In turn, so that both halves see the whole of the data whatever its order. */
async function halves(context: PassContext): Promise<Record<'even' | 'odd', LabelledFeeds[]>> {
  if (!context.samples) {
    throw new PareError('usage', 'prune: the criterion auto is chosen on samples', {
      hint: 'give data with --data PATH; labels are used where there are some',
    });
  }
  const result: Record<'even' | 'odd', LabelledFeeds[]> = { even: [], odd: [] };
  const labels = context.labels?.()[Symbol.asyncIterator]();
  let at = 0;
  for await (const feeds of context.samples()) {
    const label = (await labels?.next())?.value;
    result[at++ % 2 === 0 ? 'even' : 'odd'].push({ feeds, label });
  }
  await labels?.return?.();
  if (result.odd.length > 0) return result;
  throw new PareError('invalid-data', `prune: ${at} samples are too few to choose a criterion`);
}

/** Scores of all families; a reason where the criterion leaves one out. */
async function scoreAll(
  coupling: Coupling,
  criterion: Criterion,
  collected: Map<Need, CriterionData>,
  { reduction, normalizer, exclude }: ChooseOptions,
  context: PassContext,
): Promise<ScoredFamily[] | { readonly reason: string }> {
  const excluded = nodeMatcher(exclude);
  const families = coupling.families.filter(
    ({ members }) => !members.some(({ node }) => excluded(node)),
  );
  const scored: ScoredFamily[] = [];
  try {
    const data =
      collected.get(criterion.need) ?? (await collectData(coupling, families, criterion, context));
    collected.set(criterion.need, data);
    for (const family of families) {
      const rows = criterion.score(family, data);
      if ('reason' in rows) return rows;
      scored.push({ family, scores: scoresOf(rows, reduction, normalizer) });
    }
  } catch (error) {
    if (!(error instanceof PareError) || error.code !== 'unsupported') throw error;
    return { reason: error.message };
  }
  return scored.length > 0 ? scored : { reason: 'no width of this model is free' };
}

interface Point {
  readonly accuracy: number;
  readonly loss: number;
}

/** Runs the model with cuts at zero on the same samples. */
async function openCurve(
  coupling: Coupling,
  samples: readonly LabelledFeeds[],
  context: PassContext,
): Promise<{
  whole: Point;
  labels: CriterionChoice['labels'];
  measure(cut: Cut): Promise<Point>;
}> {
  const engine = requireEngine(context, 'explain');
  const logits = logitsOf(coupling.model);
  const targets: Int32Array[] = [];
  let target: Target | undefined;
  const run = async (model: Model): Promise<Point> => {
    const session = await openForward({ engine, model, signal: context.signal }, logits.name);
    try {
      return await score(session);
    } finally {
      await session.release();
    }
  };
  const score = async (session: EngineSession): Promise<Point> => {
    let [accuracy, loss] = [0, 0];
    for (const [at, { feeds, label }] of samples.entries()) {
      const result = (await session.run(feeds))[logits.name]!;
      target ??= chooseTarget(logits, result.dims, feeds, result.dims[0]!);
      const rows = result.dims[0]!;
      targets[at] ??= targetsOf(target, feeds, Array<typeof label>(rows).fill(label), result);
      const own = scoreRows(target, float32Of(result), rows, targets[at]!);
      accuracy += own.hits[0]!;
      loss += own.loss[0]!;
    }
    return { accuracy: accuracy / samples.length, loss: loss / samples.length };
  };
  const whole = await run(coupling.model);
  const labels = context.labels && samples.some(({ label }) => label !== undefined);
  return {
    whole,
    labels: target!.task === 'tokens' ? 'next-token' : labels ? 'given' : 'predicted',
    measure: async (cut) => await run(await zeroedModel(coupling, cut)),
  };
}

function typeOf({ dims }: Coupling, value: Value) {
  const found = dims.get(value) ?? value.constant?.dims;
  return found && { dataType: value.dataType ?? ('float' as const), dims: found };
}

const meanOf = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

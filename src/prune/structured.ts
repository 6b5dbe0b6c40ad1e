/**
 * Structured pruning: whole channels, heads and neurons leave, so the model becomes smaller and
 * faster on every runtime. Analyses what must leave together, scores it, chooses, cuts, proves the
 * cut and repairs what lies behind it. The work is in the files that it calls.
 */
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { TypeLookup } from '../ops/cost.js';
import { definePass, type PassContext, ReportBuilder } from '../pass.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';
import { formatPercent } from '../report/format.js';
import { analyzeCoupling } from './analyze-coupling.js';
import { criterionNamed } from './criteria/index.js';
import { collectData } from './criterion-data.js';
import { applyCut } from './cut.js';
import { readCut, recordCut } from './cut-record.js';
import type { Coupling, Cut, Family } from './family.js';
import { type PlanDetails, planDetails } from './plan-details.js';
import { type Proof, proveCut } from './proof.js';
import { type RepairReport, repair } from './repair/repair.js';
import { scoresOf } from './scores.js';
import { alignments } from './select/align.js';
import { type Cost, costModel } from './select/cost.js';
import type { ScoredFamily } from './select/moves.js';
import { selectUnits } from './select/select.js';
import { type StructuredOptions, structuredOptions, targetOf } from './structured-options.js';

/** Families that stay as they are, with the reason. */
type Left = Map<Family, string>;

/**
 * Simplify with `unshare` before, so that no width hangs on another by a tensor that exporters
 * shared. `details` of the report is the plan, see `PlanDetails`.
 *
 * @throws PareError `usage` without exactly one target, or for a criterion whose data are missing;
 *   `budget` for a target that cannot be reached; `unsupported` when the proof fails
 * @example
 * const { model: smaller } = await applyPass(model, structured, { macs: 0.3 }, { engine, samples });
 */
export const structured = definePass({
  name: 'prune-structured',
  summary: 'Removes channels, heads and neurons, and repairs what lies behind them.',
  options: structuredOptions,
  async run(model, options, context) {
    const report = new ReportBuilder();
    const target = targetOf(options);
    const earlier = options.continued ? readCut(model) : undefined;
    checkPatterns(options.exclude, model.allNodes(), 'exclude');
    const { split, norms, dims } = options;
    const coupling = await analyzeCoupling(cloneModel(model), { split, norms, dims }, context);
    throwIfAborted(context.signal);
    const left: Left = new Map();
    const scored = await scoreFamilies(coupling, options, context, left);
    const types = typesOf(coupling);
    const costs = await costModel(coupling, types);
    const { scope, largestShare } = options;
    const align = options.align ?? alignments[context.engine?.target ?? 'node'];
    const original = earlier && { macs: earlier.macs, parameters: earlier.parameters };
    const { cut, before, after } = selectUnits(scored, target, costs, {
      scope,
      align,
      largestShare,
      units: earlier?.units,
      original,
      held: [...coupling.frozen.map(({ reason }) => reason), ...left.values()],
    });
    const isCut = cut.size > 0;
    await applyCut(model, coupling, cut);
    const proof =
      options.proof && isCut ? await prove(coupling, cut, model, options, context) : null;
    const repaired = await repairCut(model, coupling, cut, types, options, context);

    reportCut(report, coupling, cut);
    for (const { node, op, reason } of repaired?.left ?? [])
      report.note(`not refitted: ${op} "${node}": ${reason}`);
    if (!isCut) report.note('nothing was cut: no unit has to leave for this target');
    else if (!proof) report.warn('the cut was not proved (proof is off)');
    else if (proof.blind)
      report.warn('the proof is blind: what was cut does not show in the outputs');
    if (!repaired && (options.refit || options.statistics) && isCut)
      report.note('nothing was repaired: there are no samples');
    const details: PlanDetails = {
      ...planDetails(coupling, cut, left, { before, after }),
      original: original ?? null,
      proof,
      repair: repaired ?? null,
    };
    report.details = details;
    report.note(fewerText(before, after));
    if (original) report.note(`with the cuts before: ${fewerText(original, after)}`);
    recordCut(
      model,
      earlier ?? { macs: before.macs, parameters: before.parameters, units: unitsOf(coupling) },
    );
    return report;
  },
});

async function scoreFamilies(
  coupling: Coupling,
  options: StructuredOptions,
  context: PassContext,
  left: Left,
): Promise<ScoredFamily[]> {
  const criterion = criterionNamed(options.criterion ?? (context.samples ? 'wanda' : 'lamp'));
  const excluded = nodeMatcher(options.exclude);
  const open = coupling.families.filter((family) => {
    const named = family.members.find(({ node }) => excluded(node));
    if (named) left.set(family, `"${named.node.label}" is excluded by the caller`);
    return !named;
  });
  const data = await collectData(coupling, open, criterion, context);
  return open.flatMap((family) => {
    const rows = criterion.score(family, data);
    if ('reason' in rows) {
      left.set(family, rows.reason);
      return [];
    }
    return [{ family, scores: scoresOf(rows, options.reduction, options.normalizer) }];
  });
}

/** Throws `unsupported` when the two models differ: then the analysis is wrong for this model. */
async function prove(
  coupling: Coupling,
  cut: Cut,
  model: Model,
  { dims }: StructuredOptions,
  context: PassContext,
): Promise<Proof> {
  const proof = await proveCut(coupling, cut, model, dims ? { dims } : {}, context);
  if (proof.holds) return proof;
  throw new PareError(
    'unsupported',
    `structured: the cut model differs from the one with its units at zero by ${proof.relativeError.toExponential(1)}`,
    { hint: 'this is an error of pare: exclude the nodes around the cut, and report the model' },
  );
}

async function repairCut(
  pruned: Model,
  coupling: Coupling,
  cut: Cut,
  types: TypeLookup,
  { refit, statistics, ridge, maxFeatures }: StructuredOptions,
  context: PassContext,
): Promise<RepairReport | undefined> {
  if (!context.samples || (!refit && !statistics) || cut.size === 0) return undefined;
  const options = { refit, statistics, ridge, maxFeatures };
  return await repair({ pruned, coupling, cut, types, options }, context);
}

type Counts = Pick<Cost, 'macs' | 'parameters'>;

function fewerText(before: Counts, after: Counts): string {
  const fewer = (key: keyof Counts) => formatPercent(1 - after[key] / Math.max(1, before[key]));
  return `${fewer('macs')} fewer MACs, ${fewer('parameters')} fewer parameters`;
}

function unitsOf({ families }: Coupling): Record<string, number> {
  return Object.fromEntries(families.map(({ id, units }) => [id, units]));
}

function reportCut(report: ReportBuilder, { families, frozen, model }: Coupling, cut: Cut): void {
  for (const family of families) {
    const gone = cut.get(family.id);
    if (!gone || gone.size === 0) continue;
    const kept = family.units - gone.size;
    const [first, ...others] = new Set(family.members.map(({ node }) => node));
    report.change(first!, `${family.units} to ${kept} ${family.kind}`);
    for (const node of others) report.follow(node, `loses its part of "${family.id}"`);
  }
  const nodes = new Map([...model.graph.allNodes()].map((node) => [node.label, node]));
  for (const { node, width, by, reason } of frozen) {
    const found = nodes.get(node);
    if (found) report.skip(found, `its width of ${width} is frozen by ${by}: ${reason}`);
  }
}

function typesOf({ dims }: Coupling): TypeLookup {
  return (value) => {
    const found = dims.get(value) ?? value.constant?.dims;
    return found && { dataType: value.dataType ?? 'float', dims: found };
  };
}

/**
 * Removes whole residual blocks, the least important first: the stream passes by, and the rest is
 * dead and leaves. Every run proves itself: the model without the blocks gives what the original
 * gives with their contributions multiplied by zero.
 */

import type { Engine, Feeds } from '../engine/engine.js';
import { probeShapes } from '../engine/shapes.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import { modelToProto } from '../graph/to-proto.js';
import { definePass, type PassContext, ReportBuilder, requireEngine } from '../pass.js';
import { nodeChooser } from '../pattern.js';
import { type Branch, findBranches } from './depth/branches.js';
import { type DepthOptions, depthOptions } from './depth/options.js';
import { removeUnit, silenceUnit } from './depth/remove.js';
import { deviation } from './depth/run-beside.js';
import { depthCriteria, type UnitPlace } from './depth/scores.js';
import { labelOf, type Unit, unitsOf } from './depth/units.js';

const name = 'prune-depth';

/** Largest error of an output, as a share of its largest magnitude, that the proof allows. */
const proofTolerance = 1e-5;

/** @example await applyPass(model, depth, { ratio: 0.25 }, { engine, samples }) */
export const depth = definePass({
  name,
  summary: 'Removes whole residual blocks or transformer layers, the least important first.',
  options: depthOptions,
  async run(model, options, context) {
    const engine = requireEngine(context, name);
    const { samples } = context;
    if (!samples) {
      throw new PareError('usage', `${name}: needs samples to see what a block does`, {
        hint: 'give data with --data PATH; labels are not needed',
      });
    }
    if ((options.ratio === undefined) === (options.blocks === undefined)) {
      throw new PareError('usage', `${name}: give either a ratio or a number of blocks`);
    }
    const report = new ReportBuilder();
    const original = cloneModel(model);
    const feeds = await firstFeeds(samples);
    const all = await findUnits(engine, model, feeds, options, report);
    const open = chooseUnits(model, all, options, report);
    const wanted = options.blocks ?? Math.round(options.ratio! * all.length);
    const criterion = depthCriteria.find((each) => each.name === options.criterion)!;
    const scoring = { engine, samples, original, signal: context.signal };
    const removed: Unit[] = [];
    const task = context.progress.task(name, wanted);
    // Scores are taken anew each time: what is left takes over from what has gone.
    while (removed.length < wanted && open.length > 0) {
      throwIfAborted(context.signal);
      const scores = await criterion.score(model, open.map(placeOf), scoring);
      const least = scores.indexOf(Math.min(...scores));
      const unit = open.splice(least, 1)[0]!;
      const { join } = unit.at(-1)!;
      const [node, op] = [labelOf(unit), join.op];
      const count = unit.reduce((sum, { nodes }) => sum + nodes.size + 1, 0);
      const refused = removeUnit(model, placeOf(unit));
      if (refused) {
        report.skip(join, refused);
        continue;
      }
      removed.push(unit);
      const what = `removed: ${count} nodes in ${unit.length} ${unit.length === 1 ? 'branch' : 'branches'}, ${criterion.name} ${scores[least]!.toPrecision(3)}`;
      report.changed.push({ node, op, what });
      task.update(removed.length);
      dropInner(open, unit);
    }
    task.end();
    if (removed.length > 0) await prove(engine, original, model, removed, feeds, report);
    report.note(
      `${removed.length} of ${all.length} ${options.unit === 'layer' ? 'layers' : 'branches'} removed, ${wanted} asked for`,
    );
    return report;
  },
});

/** The first sample: shapes and the proof are looked at on it. */
async function firstFeeds(samples: NonNullable<PassContext['samples']>): Promise<Feeds> {
  for await (const feeds of samples()) return feeds;
  throw new PareError('invalid-data', `${name}: there is no sample`);
}

/** By the names of now: an edit at an output of the model renames values. */
function placeOf(unit: Unit): UnitPlace {
  return unit.map(({ join, streamIndex }) => ({ output: join.output().name, streamIndex }));
}

async function findUnits(
  engine: Engine,
  model: Model,
  feeds: Feeds,
  { unit }: DepthOptions,
  report: ReportBuilder,
): Promise<Unit[]> {
  const { branches, others } = findBranches(model);
  const sums = [...branches, ...others];
  const values = sums.flatMap(({ join, streamIndex }) => [
    join.input(streamIndex).name,
    join.output().name,
  ]);
  const dims = await probeShapes(engine, modelToProto(model), feeds, new Set(values));
  // What is broadcast into the sum is no stream: an attention mask, say.
  const isStream = ({ join, streamIndex }: (typeof sums)[number]) =>
    dims.get(join.input(streamIndex).name)?.join() === dims.get(join.output().name)?.join();
  for (const other of others) if (isStream(other)) report.skip(other.join, other.reason);
  const fitting = branches.filter(isStream);
  if (fitting.length < branches.length) {
    report.note(
      `${branches.length - fitting.length} sums broadcast their stream and are no blocks`,
    );
  }
  return unitsOf(fitting, unit);
}

function chooseUnits(
  model: Model,
  units: readonly Unit[],
  { include, exclude }: DepthOptions,
  report: ReportBuilder,
): Unit[] {
  const excluded = nodeChooser(model, { include: [], exclude });
  const included = nodeChooser(model, { include, exclude: [] });
  return units.filter((unit) => {
    const nodes = unit.flatMap(({ join, nodes: inner }) => [...inner, join]);
    const reason =
      nodes.map(excluded).find(Boolean) ??
      (nodes.every(included) ? 'not included by the caller' : undefined);
    if (reason) report.skip(unit.at(-1)!.join, reason);
    return reason === undefined;
  });
}

/** A branch inside of one that left has left with it. */
function dropInner(open: Unit[], removed: Unit): void {
  const gone = (branch: Branch) => removed.some(({ nodes }) => nodes.has(branch.join));
  for (let at = open.length - 1; at >= 0; at--) if (open[at]!.some(gone)) open.splice(at, 1);
}

/** Throws `engine` where the two ways of taking the blocks away do not agree. */
async function prove(
  engine: Engine,
  original: Model,
  pruned: Model,
  removed: readonly Unit[],
  feeds: Feeds,
  report: ReportBuilder,
): Promise<void> {
  const silenced = cloneModel(original);
  for (const unit of removed) silenceUnit(silenced, unit);
  const { peak } = await deviation(engine, silenced, pruned, [feeds]);
  if (!(peak <= proofTolerance)) {
    throw new PareError(
      'engine',
      `${name}: without the blocks an output is off by ${peak.toExponential(1)} of its largest value from the original with the blocks multiplied by zero; more than ${proofTolerance} is not rounding`,
      {
        node: labelOf(removed[0]!),
        hint: 'leave blocks out with exclude; please report this model',
      },
    );
  }
  report.note(
    `proved: equal to the original with the blocks multiplied by zero, largest error ${peak.toExponential(1)}`,
  );
}

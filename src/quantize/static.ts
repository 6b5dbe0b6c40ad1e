/**
 * Static quantization: integer weights, activations with scales known from samples, written as
 * QuantizeLinear and DequantizeLinear so that the runtime's integer kernels are reached.
 */
import { inferShapes } from '../engine/shapes.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { removeDead } from '../graph/dead.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { raiseOpset } from '../graph/opset/upgrade.js';
import { dataTypes } from '../onnx/data-type.js';
import { integerRoles } from '../ops/integer-roles.js';
import { definePass, type PassContext, ReportBuilder, requireEngine } from '../pass.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';
import { dropWeightInputs } from '../simplify/drop-weight-inputs.js';
import { cachedStatistics, StatisticsCache } from './calibrate/cache.js';
import { type CalibratedRange, calibratorNamed } from './calibrate/calibrators.js';
import { checkFusion } from './fusion.js';
import { inputRanges, samplesFor } from './io/input-spec.js';
import { type ChannelMeans, cachedMeans, type MeanRequest } from './static/bias-correction.js';
import { type CorrectedLayer, correctBiases } from './static/full-bias-correction.js';
import { type StaticOptions, staticOptions } from './static/options.js';
import { insideBounds, parametersOf, type QuantizationParameters } from './static/parameters.js';
import { type Plan, type PlanRules, planStatic, type ScaleGroup } from './static/plan.js';
import { StaticWriter, type TakeOff } from './static/write.js';

/** @example await applyPass(model, staticScheme, {}, { engine, samples }) */
export const staticScheme = definePass({
  name: 'static',
  summary:
    'int8 weights and uint8 activations with ranges from samples: integer kernels for Conv and Gemm.',
  options: staticOptions,
  async run(model, given, callers) {
    const report = new ReportBuilder();
    // A model that takes raw bytes has its input's range from its type, and samples to fit.
    const options = { ...given, ranges: { ...inputRanges(model), ...given.ranges } };
    const samples = callers.samples && samplesFor(model, callers.samples);
    const context = { ...callers, samples };
    checkPatterns(options.include, model.allNodes(), 'include');
    checkPatterns(options.exclude, model.allNodes(), 'exclude');
    report.notes.push(...(await dropWeightInputs.run(model, {}, context)).notes);
    // Per-channel DequantizeLinear came with opset 13, 16-bit integers with 21.
    const opset = dataTypes[options.activations].bits > 8 ? 21 : 13;
    report.notes.push(...(await raiseOpset(model, opset, context)).notes);
    const engine = requireEngine(context, 'static');
    await inferShapes(engine, model);
    for (const name of Object.keys(given.ranges)) checkRangeName(model, name);
    const { plan, parameters } = await calibratedPlan(model, options, context);
    for (const { node, reason } of plan.skipped) report.skip(node, reason);
    if (plan.compute.length === 0) return report;
    throwIfAborted(context.signal);
    const quantized = new Set([...plan.groups.keys()].map(({ name }) => name));
    for (const name of Object.keys(given.ranges)) {
      if (!quantized.has(name)) report.note(`ranges: "${name}" is not quantized`);
    }
    const correction = biasCorrectionOf(options);
    const means =
      correction === 'off'
        ? new Map<string, ChannelMeans>()
        : await meansOf(model, plan, parameters, context);
    const float = correction === 'full' ? cloneModel(model) : undefined;
    const floatNames = plan.compute.map(({ node }) => node.output().name);
    const biases = await new StaticWriter(model, { plan, parameters, means, options }).write();
    if (float) {
      const models = { float, floatNames, quantized: model };
      await correctInOrder(models, plan, biases, context, report);
    }
    for (const { node, weight } of plan.compute) {
      report.change(
        node,
        `${options.activations} activations, int8 weight [${weight.dims.join(',')}]`,
      );
    }
    for (const node of plan.nodes) {
      if (integerRoles[node.op]?.kind !== 'compute') {
        report.follow(node, `computes with ${options.activations}`);
      }
    }
    for (const node of plan.absorbed.keys()) report.follow(node, 'absorbed by the range behind it');
    report.note(
      `${plan.nodes.size} nodes on integers, ${new Set(plan.groups.values()).size} activation scales, calibrator ${options.calibrator}`,
    );
    removeDead(model.graph);
    if (options.checkFusion || options.strict)
      await reportFusion(model, plan, options, context, report);
    return report;
  },
});

function rulesOf(options: StaticOptions, standing: ReadonlySet<Node>): PlanRules {
  const included = nodeMatcher(options.include);
  const excluded = nodeMatcher(options.exclude);
  return {
    standing,
    allowed(node) {
      if (excluded(node)) return 'excluded by the caller';
      if (options.include.length > 0 && !included(node)) return 'not included';
      const role = integerRoles[node.op];
      return role?.kind === 'compute' && !options.matMul ? role.onRequest : undefined;
    },
  };
}

/**
 * Reads back what the runtime makes of the plan. 8-bit activations only: 16-bit ones are computed
 * in float by every kernel.
 */
async function reportFusion(
  model: Model,
  plan: Plan,
  { activations, strict }: StaticOptions,
  context: PassContext,
  report: ReportBuilder,
): Promise<void> {
  const engine = requireEngine(context, 'static');
  if (dataTypes[activations].bits > 8) {
    report.note(`${activations} activations: the runtime computes them in float`);
    return;
  }
  if (engine.target !== 'node') {
    report.note(`not read back: ${engine.name} does not show the graph that it runs`);
    return;
  }
  const { unfused, requantized } = await checkFusion(engine, model, plan.nodes, context);
  if (strict && unfused.length > 0) {
    const [first] = unfused;
    throw new PareError(
      'unsupported',
      `static: ${unfused.length} nodes missed their integer kernel, the first ${first!.reason}`,
      { node: first!.node, hint: 'exclude these nodes, or leave out --strict' },
    );
  }
  for (const { node, op, reason } of unfused) report.note(`${op} "${node}" ${reason}`);
  if (requantized.length > 0)
    report.note(`${requantized.length} values are converted between two scales`);
}

/** Channel means at the inputs of all compute nodes, for the bias correction. */
async function meansOf(
  model: Model,
  plan: Plan,
  parameters: ReadonlyMap<ScaleGroup, QuantizationParameters>,
  context: PassContext,
): Promise<Map<string, ChannelMeans>> {
  const requests = new Map<string, MeanRequest>();
  for (const { node, role } of plan.compute) {
    const value = node.input(0);
    const rank = value.dims?.length;
    // Without a rank the channels cannot be told; such a node keeps its bias.
    if (rank === undefined) continue;
    const found = parameters.get(plan.groups.get(value)!)!;
    requests.set(value.name, {
      name: value.name,
      axis: role.inputAxis(rank),
      rank,
      parameters: found,
    });
  }
  return cachedMeans(model, [...requests.values()], context);
}

function biasCorrectionOf({ biasCorrection }: StaticOptions): 'off' | 'fast' | 'full' {
  if (typeof biasCorrection === 'string') return biasCorrection;
  return biasCorrection ? 'fast' : 'off';
}

/** The full bias correction of all layers whose biases can be written. */
async function correctInOrder(
  { float, floatNames, quantized }: { float: Model; floatNames: string[]; quantized: Model },
  plan: Plan,
  biases: ReadonlyMap<Node, TakeOff>,
  context: PassContext,
  report: ReportBuilder,
): Promise<void> {
  if (!context.samples) {
    throw new PareError('usage', 'static: the full bias correction needs samples', {
      hint: 'give data with --data PATH; labels are not needed',
    });
  }
  const clips = new Map([...plan.absorbed].map(([clip, bounds]) => [clip.input(0), bounds]));
  const unbounded = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
  const layers = plan.compute.flatMap(({ node, role }, at): CorrectedLayer[] => {
    const takeOff = biases.get(node);
    const output = node.output();
    const rank = output.dims?.length;
    if (!takeOff || !rank) return [];
    const bounds = clips.get(output) ?? unbounded;
    const floatName = floatNames[at]!;
    return [{ node, floatName, takeOff, axis: role.inputAxis(rank), bounds }];
  });
  const passes = await correctBiases(float, quantized, layers, context.samples, context);
  report.note(
    `bias correction: ${layers.length} of ${plan.compute.length} layers in order, ${passes} passes over the samples`,
  );
}

/**
 * The plan with scale and zero point of every group. A clip whose bounds lie inside the range that
 * was found (symmetric integers, a range given by the caller) cannot be absorbed: the plan is made
 * anew with that clip in place, and the values around it calibrated.
 */
async function calibratedPlan(
  model: Model,
  options: StaticOptions,
  given: PassContext,
): Promise<{ plan: Plan; parameters: Map<ScaleGroup, QuantizationParameters> }> {
  const context = { ...given, statistics: given.statistics ?? new StatisticsCache() };
  const standing = new Set<Node>();
  for (;;) {
    const plan = await planStatic(model, rulesOf(options, standing));
    if (plan.compute.length === 0) return { plan, parameters: new Map() };
    const parameters = await calibrate(model, plan, options, context);
    const before = standing.size;
    for (const [clip, bounds] of plan.absorbed) {
      const group = plan.groups.get(clip.output())!;
      const inside = insideBounds(parameters.get(group)!, bounds);
      if (inside) parameters.set(group, inside);
      else standing.add(clip);
    }
    if (standing.size === before) return { plan, parameters };
  }
}

/** Scale and zero point of every group. */
async function calibrate(
  model: Model,
  plan: Plan,
  options: StaticOptions,
  context: PassContext,
): Promise<Map<ScaleGroup, QuantizationParameters>> {
  const calibrator = calibratorNamed(options.calibrator);
  const groups = new Set(plan.groups.values());
  const fixedIn = ({ values }: ScaleGroup) =>
    values.flatMap(({ name }) => options.ranges[name] ?? []);
  const names = [...groups]
    .filter((group) => fixedIn(group).length === 0)
    .flatMap(({ sources }) => sources.map(({ name }) => name));
  const statistics = await cachedStatistics(model, names, calibrator.histogram, context);
  const { bits } = dataTypes[options.activations];
  const rangeOf = (name: string): CalibratedRange => {
    const seen = statistics.get(name);
    // A value that was empty in every sample has no range; any scale will do.
    if (!seen) return { min: 0, max: 0 };
    const { symmetric, percentile } = options;
    return calibrator.range(seen, { levels: 2 ** bits, symmetric, percentile });
  };
  const parameters = new Map<ScaleGroup, QuantizationParameters>();
  for (const group of groups) {
    const fixed = fixedIn(group);
    const ranges = fixed.length > 0 ? fixed : group.sources.map(({ name }) => rangeOf(name));
    const range = {
      min: Math.min(...ranges.map(({ min }) => min)),
      max: Math.max(...ranges.map(({ max }) => max)),
    };
    parameters.set(group, parametersOf(range, options.activations, options.symmetric));
  }
  return parameters;
}

function checkRangeName(model: Model, name: string): void {
  if (model.graph.find(name)) return;
  throw new PareError('usage', `ranges: no value of the model is named "${name}"`, {
    hint: 'names of values are those of node outputs and graph inputs; pare inspect --nodes lists them',
  });
}

/**
 * Static quantization: integer weights, activations with scales known from samples, written as
 * QuantizeLinear and DequantizeLinear that the runtime joins into integer kernels, or as operators
 * on integers.
 */
import { inferShapes } from '../engine/shapes.js';
import { PareError, throwIfAborted } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { removeDead } from '../graph/dead.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { raiseOpset } from '../graph/opset/upgrade.js';
import { dataTypes } from '../onnx/data-type.js';
import { hasIntegerKernel } from '../ops/integer-kernels.js';
import { integerRoles } from '../ops/integer-roles.js';
import { definePass, type PassContext, ReportBuilder, requireEngine } from '../pass.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';
import { dropWeightInputs } from '../simplify/drop-weight-inputs.js';
import { StatisticsCache } from './calibrate/cache.js';
import { modelHash } from './calibrate/model-hash.js';
import { checkCalibration } from './calibrate/table.js';
import { checkFusion } from './fusion.js';
import { inputRanges, samplesFor } from './io/input-spec.js';
import { saturationWarning } from './saturation-warning.js';
import { type ChannelMeans, cachedMeans, type MeanRequest } from './static/bias-correction.js';
import { findProducts, quantizeProducts, whyNotDynamic } from './static/dynamic-products.js';
import { type CorrectedLayer, correctBiases } from './static/full-bias-correction.js';
import { checkStatic, opsetOf, type StaticOptions, staticOptions } from './static/options.js';
import { Overrides } from './static/overrides.js';
import { padChannels } from './static/pad-channels.js';
import { insideBounds, type QuantizationParameters } from './static/parameters.js';
import { fasterInFloat } from './static/placement.js';
import { type Plan, type PlanRules, planStatic, type ScaleGroup } from './static/plan.js';
import { writeQOperators } from './static/qoperator.js';
import { groupParameters } from './static/ranges.js';
import { convolveShortcuts } from './static/shortcut-conv.js';
import { computedInFloat } from './static/weight-storage.js';
import { StaticWriter, type TakeOff } from './static/write.js';

/** @example await applyPass(model, staticScheme, {}, { engine, samples }) */
export const staticScheme = definePass({
  name: 'static',
  summary:
    'int8 weights and uint8 activations with ranges from samples: integer kernels for Conv and Gemm.',
  options: staticOptions,
  async run(model, given, callers) {
    const report = new ReportBuilder();
    checkStatic(given);
    // A model that takes raw bytes has its input's range from its type, and samples to fit.
    const pinned = Object.fromEntries(callers.calibration?.pinned ?? []);
    const options = { ...given, ranges: { ...pinned, ...inputRanges(model), ...given.ranges } };
    const samples = callers.samples && samplesFor(model, callers.samples);
    const context = { ...callers, samples };
    checkPatterns(options.include, model.allNodes(), 'include');
    checkPatterns(options.exclude, model.allNodes(), 'exclude');
    checkPatterns(options.wide, model.allNodes(), 'wide');
    const hash = callers.calibration && (await modelHash(model));
    report.notes.push(...(await prepareStatic(model, options, context)));
    if (hash) report.notes.push(...checkCalibration(callers.calibration!, model, hash));
    for (const name of Object.keys(given.ranges)) checkRangeName(model, name);
    const overrides = new Overrides(model, options);
    const { allowed } = planRules(options, overrides, new Set());
    const shortcuts = await convolveShortcuts(model, (node) => allowed(node) !== undefined);
    const { plan, parameters } = await calibratedPlan(model, options, overrides, context);
    const products = await productsOf(model, options, overrides, context);
    const dynamic = new Set(products.harmless);
    for (const { node, reason } of plan.skipped) {
      if (!dynamic.has(node.label)) report.skip(node, products.left.get(node.label) ?? reason);
    }
    for (const { conv, slice } of shortcuts) {
      report.changed.push({
        node: slice.label,
        op: slice.op,
        what: `part of the Conv ${conv.label}`,
        follows: true,
      });
    }
    if (plan.compute.length === 0 && dynamic.size === 0) return report;
    throwIfAborted(context.signal);
    const warning = await saturationWarning(options, context);
    if (warning) report.warn(warning);
    const quantized = new Set([...plan.groups.keys()].map(({ name }) => name));
    for (const name of Object.keys(given.ranges)) {
      if (!quantized.has(name)) report.note(`ranges: "${name}" is not quantized`);
    }
    for (const { weight } of plan.compute) quantized.add(weight.source.name);
    for (const pattern of overrides.idle((name) => quantized.has(name))) {
      report.note(`overrides: nothing that "${pattern}" names is quantized`);
    }
    const wanted = biasCorrectionOf(options);
    if (wanted !== 'off' && !samples && callers.calibration) {
      report.note('bias correction is off: it needs samples, and the calibration table has none');
    }
    const correction = samples || !callers.calibration ? wanted : 'off';
    const means =
      correction === 'off'
        ? new Map<string, ChannelMeans>()
        : await meansOf(model, plan, parameters, context);
    const float = correction === 'full' ? cloneModel(model) : undefined;
    const floatNames = plan.compute.map(({ node }) => node.output().name);
    const biases = await new StaticWriter(model, {
      plan,
      parameters,
      means,
      options,
      overrides,
    }).write();
    if (float) {
      const models = { float, floatNames, quantized: model };
      await correctInOrder(models, plan, biases, context, report);
    }
    for (const { node, from, to } of await padChannels(
      plan.compute,
      requireEngine(context, 'static').target,
    )) {
      report.note(`${node.label}: ${from} input channels padded to ${to} for the fast kernel`);
    }
    report.changed.push(
      ...(await quantizeProducts(model, products.harmless, options, context)).changed,
    );
    for (const { node, weight } of plan.compute) {
      report.change(
        node,
        `${options.activations} activations, ${options.weights} weight [${weight.dims.join(',')}]`,
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
    const inFloat = computedInFloat(plan, options);
    report.notes.push(...inFloat.remarks);
    const onIntegers = writeFormat(model, plan, options, report);
    const meant = new Set([...onIntegers].filter((node) => !inFloat.nodes.has(node)));
    removeDead(model.graph);
    if (options.checkFusion || options.strict)
      await reportFusion(model, meant, options, context, report);
    return report;
  },
});

/** The nodes that stand for those of the plan when the model is in the format wanted. */
function writeFormat(
  model: Model,
  plan: Plan,
  { format }: StaticOptions,
  report: ReportBuilder,
): ReadonlySet<Node> {
  if (format === 'qdq') return plan.nodes;
  const { nodes, kept } = writeQOperators(model, plan);
  for (const { node, reason } of kept) {
    report.note(`${node.op} "${node.label}" keeps QuantizeLinear and DequantizeLinear: ${reason}`);
  }
  return nodes;
}

/**
 * What the graph must be before a plan is made: constants known as such, operators of an opset
 * that has the integers, all shapes. Gives remarks.
 */
export async function prepareStatic(
  model: Model,
  options: StaticOptions,
  context: PassContext,
): Promise<string[]> {
  const dropped = await dropWeightInputs.run(model, {}, context);
  const isWide = options.wide.length > 0 || new Overrides(model, options).bits > 8;
  const opset = isWide ? 21 : opsetOf(options);
  const raised = await raiseOpset(model, opset, context);
  await inferShapes(requireEngine(context, 'static'), model);
  return [...dropped.notes, ...raised.notes];
}

const harmfulText = (snr: number) =>
  `it would disturb the outputs: SNR ${snr.toFixed(1)} dB with this product alone in integers`;

/** The matrix products that get their activations quantized in every run. */
async function productsOf(
  model: Model,
  options: StaticOptions,
  overrides: Overrides,
  context: PassContext,
): Promise<{ harmless: readonly string[]; left: ReadonlyMap<string, string> }> {
  const left = new Map<string, string>();
  if (options.matMul !== 'dynamic' || !hasIntegerKernel(options.activations, options.weights)) {
    return { harmless: [], left };
  }
  // Asked without the rule that leaves them to this option.
  const { allowed } = planRules({ ...options, matMul: 'static' }, overrides, new Set());
  const { target } = requireEngine(context, 'static');
  const labels: string[] = [];
  for (const node of model.graph.nodes) {
    const role = integerRoles[node.op];
    if (role?.kind !== 'compute' || !role.onRequest || allowed(node) !== undefined) continue;
    const whyNot = await whyNotDynamic(node, target, options.placement === 'all');
    if (whyNot) left.set(node.label, whyNot);
    else labels.push(node.label);
  }
  const { harmless, harmful } = await findProducts(model, labels, options, context);
  for (const [label, snr] of harmful) left.set(label, harmfulText(snr));
  return { harmless, left };
}

export function planRules(
  options: StaticOptions,
  overrides: Overrides,
  standing: ReadonlySet<Node>,
  slow: ReadonlySet<Node> = new Set(),
): PlanRules {
  const included = nodeMatcher(options.include);
  const excluded = nodeMatcher(options.exclude);
  return {
    standing,
    format: options.format,
    allowed(node) {
      if (excluded(node)) return 'excluded by the caller';
      if (options.include.length > 0 && !included(node)) return 'not included';
      const kept = overrides.reasonFor(node);
      if (kept) return kept;
      if (slow.has(node)) return 'float is faster here by estimate (option placement)';
      const role = integerRoles[node.op];
      return role?.kind === 'compute' && options.matMul !== 'static' ? role.onRequest : undefined;
    },
  };
}

/**
 * Reads back what the runtime makes of the plan. 8-bit activations only: 16-bit ones are computed
 * in float by every kernel.
 */
async function reportFusion(
  model: Model,
  meant: ReadonlySet<Node>,
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
  const { unfused, requantized } = await checkFusion(engine, model, meant, context);
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
  overrides: Overrides,
  given: PassContext,
): Promise<{ plan: Plan; parameters: Map<ScaleGroup, QuantizationParameters> }> {
  const context = { ...given, statistics: given.statistics ?? new StatisticsCache() };
  const standing = new Set<Node>();
  const everywhere = await planStatic(model, planRules(options, overrides, standing));
  // What no integer kernel takes is computed in float anyway, and quantized for its size.
  const pays = hasIntegerKernel(options.activations, options.weights);
  const target = requireEngine(given, 'static').target;
  const slow =
    options.placement === 'fast' && pays
      ? fasterInFloat(model, everywhere, target)
      : new Set<Node>();
  for (;;) {
    const plan = await planStatic(model, planRules(options, overrides, standing, slow));
    if (plan.compute.length === 0) return { plan, parameters: new Map() };
    const parameters = await groupParameters(model, plan, options, overrides, context);
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

function checkRangeName(model: Model, name: string): void {
  if (model.graph.find(name)) return;
  throw new PareError('usage', `ranges: no value of the model is named "${name}"`, {
    hint: 'names of values are those of node outputs and graph inputs; pare inspect --nodes lists them',
  });
}

/**
 * Rounds the weights of Conv and Gemm to the integers that change the layer's outputs least on
 * samples, in place of the nearest ones. Works on the float model: the weights come out as
 * integer * scale with the largest at the end of the integers, so that `static` after it finds the
 * same scales and stores these very integers.
 *
 * The covariance of the inputs is taken, not their second moment, since an error of the mean is
 * taken out of the bias here.
 */
import * as z from 'zod/mini';
import { inferShapes } from '../../engine/shapes.js';
import { throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { type InputMoments, inputMoments } from '../../measure/input-moments.js';
import { type PatchLayout, patchLayouts } from '../../measure/input-patches.js';
import { Tensor } from '../../onnx/tensor.js';
import { definePass, type PassContext, ReportBuilder, requireEngine } from '../../pass.js';
import { checkPatterns, nodeMatcher } from '../../pattern.js';
import { floatArray } from '../../simplify/affine.js';
import { setConstantInput } from '../../simplify/edit.js';
import { type Linear, linearOf, whyNotChange } from '../../simplify/linear.js';
import { roundRow } from './round-row.js';

const learnedRoundingOptions = z.object({
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** As in the static scheme that follows: one scale per output channel. */
  perChannel: z._default(z.boolean(), true),
  /** As in the static scheme that follows: seven bits. */
  reduceRange: z._default(z.boolean(), false),
  /** Share of the mean variance that is added to every variance. */
  damping: z._default(z.number().check(z.gte(0)), 0.01),
  /** Layers with more inputs per output than this are left to rounding to nearest. */
  maxFeatures: z._default(z.int().check(z.gte(1)), 2048),
});

type LearnedRoundingOptions = z.output<typeof learnedRoundingOptions>;

interface Layer {
  readonly linear: Linear;
  readonly layout: PatchLayout;
}

/** Most bytes of covariances that are gathered in one pass over the samples. */
const bytesPerPass = 256e6;

/** @example await applyPass(model, learnedRounding, {}, { engine, samples }) // then static */
export const learnedRounding = definePass({
  name: 'learned-rounding',
  summary: 'Rounds weights up or down by what changes the outputs of their layer least on samples.',
  options: learnedRoundingOptions,
  async run(model, options, context) {
    const report = new ReportBuilder();
    checkPatterns(options.include, model.allNodes(), 'include');
    checkPatterns(options.exclude, model.allNodes(), 'exclude');
    await inferShapes(requireEngine(context, 'learned-rounding'), model);
    for (const layers of passesOf(findLayers(model, options, report))) {
      await roundLayers(model, layers, options, context, report);
    }
    return report;
  },
});

function findLayers(model: Model, options: LearnedRoundingOptions, report: ReportBuilder): Layer[] {
  const included = nodeMatcher(options.include);
  const excluded = nodeMatcher(options.exclude);
  const layers: Layer[] = [];
  for (const node of model.graph.nodes) {
    if (!Object.hasOwn(patchLayouts, node.op)) {
      const linear = linearOf(node);
      if (linear && !('reason' in linear)) report.skip(node, `${node.op} is rounded to nearest`);
      continue;
    }
    const found = excluded(node)
      ? { reason: 'excluded by the caller' }
      : options.include.length > 0 && !included(node)
        ? { reason: 'not included' }
        : layerOf(node, options);
    if ('reason' in found) report.skip(node, found.reason);
    else layers.push(found);
  }
  return layers;
}

function layerOf(node: Node, options: LearnedRoundingOptions): Layer | { reason: string } {
  const linear = linearOf(node) ?? { reason: 'it has no constant weight' };
  if ('reason' in linear) return linear;
  if (linear.weight.dataType !== 'float')
    return { reason: `its weight is ${linear.weight.dataType}` };
  const shared = whyNotChange(linear, 0);
  if (shared) return { reason: shared };
  const layout = patchLayouts[node.op]!(node, linear.weight.dims);
  if ('reason' in layout) return layout;
  if (layout.features > options.maxFeatures) {
    return {
      reason: `an output sees ${layout.features} inputs, more than maxFeatures ${options.maxFeatures}`,
    };
  }
  return { linear, layout };
}

function* passesOf(layers: readonly Layer[]): Generator<Layer[]> {
  let group: Layer[] = [];
  let bytes = 0;
  for (const layer of layers) {
    const { groups, features } = layer.layout;
    const size = 8 * groups * features ** 2;
    if (group.length > 0 && bytes + size > bytesPerPass) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(layer);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

async function roundLayers(
  model: Model,
  layers: readonly Layer[],
  options: LearnedRoundingOptions,
  context: PassContext,
  report: ReportBuilder,
): Promise<void> {
  const requests = layers.map(({ linear, layout }) => ({
    name: linear.node.input(linear.dataIndex).name,
    layout,
  }));
  const moments = await inputMoments(model, requests, context, 'learned-rounding');
  const task = context.progress.task('learned-rounding: layers');
  try {
    for (const [at, layer] of layers.entries()) {
      throwIfAborted(context.signal);
      const { error, nearestError } = await roundLayer(layer, moments[at]!, options);
      const gain = error > 0 ? 10 * Math.log10(nearestError / error) : 0;
      report.change(layer.linear.node, `rounded by samples, output error -${gain.toFixed(1)} dB`);
      task.update(at + 1);
    }
  } finally {
    task.end();
  }
}

async function roundLayer(
  { linear, layout }: Layer,
  { means, covariances }: InputMoments,
  { perChannel, reduceRange, damping }: LearnedRoundingOptions,
): Promise<{ error: number; nearestError: number }> {
  const { weight, layout: weightLayout } = linear;
  const { groups, features } = layout;
  const { rows, columns, inner, outChannels } = weightLayout;
  const floats = await floatArray(weight);
  const rounded = new Float32Array(floats.length);
  const limit = reduceRange ? 63 : 127;
  const indices = elementsByOutput(rows, columns, inner, outChannels, weightLayout.outChannel);
  const peakOf = (at: Iterable<number>) => {
    let peak = -1;
    for (const i of at) {
      if (peak < 0 || Math.abs(floats[i]!) > Math.abs(floats[peak]!)) peak = i;
    }
    return peak;
  };
  const tensorPeak = perChannel ? -1 : peakOf(floats.keys());
  const shift = new Float64Array(outChannels);
  const total = { error: 0, nearestError: 0 };
  for (let out = 0; out < outChannels; out++) {
    const elements = indices[out]!;
    const peak = perChannel ? peakOf(elements) : tensorPeak;
    const scale = Math.fround(Math.abs(floats[peak]!) / limit);
    // A row of zeros, or too small for a scale: as `static` has it, nothing to choose.
    if (!(scale > 2 ** -126)) {
      for (const i of elements) rounded[i] = floats[i]!;
      continue;
    }
    const group = Math.floor((out * groups) / outChannels);
    const start = group * features * features;
    let trace = 0;
    for (let i = 0; i < features; i++) trace += covariances[start + i * features + i]!;
    const weights = Float64Array.from(elements, (i) => floats[i]!);
    const row = roundRow({
      weights,
      scale,
      limit,
      covariance: covariances,
      start,
      damping: (damping * trace) / features,
      fixed: elements.indexOf(peak),
    });
    for (let i = 0; i < features; i++) {
      const value = Math.fround(row.codes[i]! * scale);
      rounded[elements[i]!] = value;
      shift[out]! += (value - weights[i]!) * means[group * features + i]!;
    }
    total.error += row.error;
    total.nearestError += row.nearestError;
  }
  const bias = await linear.bias.read();
  setConstantInput(linear.node, linear.weightIndex, Tensor.of('float', weight.dims, rounded));
  const corrected = shift.map((s, out) => (bias?.[out] ?? 0) - linear.alpha * s);
  linear.bias.write(Tensor.of('float', [outChannels], corrected));
  return total;
}

/** Positions in the stored weight of the elements of every output channel, in feature order. */
function elementsByOutput(
  rows: number,
  columns: number,
  inner: number,
  outChannels: number,
  outChannel: (row: number, column: number) => number,
): number[][] {
  const found: number[][] = Array.from({ length: outChannels }, () => []);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const elements = found[outChannel(row, column)]!;
      for (let end = at + inner; at < end; at++) elements.push(at);
    }
  }
  return found;
}

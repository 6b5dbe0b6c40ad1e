/**
 * Equalizes the ranges of channels across layers, which changes no output: a layer makes a channel
 * s times larger and the next ones take it s times smaller. Works on the float model, before it is
 * quantized; through Relu, pooling, residual Adds and depthwise convolutions.
 */
import * as z from 'zod/mini';
import { inferShapes } from '../../engine/shapes.js';
import { throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import { definePass, type PassContext, ReportBuilder, requireEngine } from '../../pass.js';
import { floatArray } from '../../simplify/affine.js';
import { type Linear, planAfter, planBefore } from '../../simplify/linear.js';
import { type ChannelClass, channelLinear, findChannelClasses } from './channel-classes.js';
import { type ChannelStatistics, channelStatistics } from './channel-statistics.js';
import { byActivations, byWeights, type ConsumerWeights } from './equalization-scales.js';

const equalizeOptions = z.object({
  /**
   * activations: one range for all channels of an activation, where the weights have a scale per
   * output channel; needs samples. weights: cross-layer equalization of weight ranges, for weights
   * with one scale per tensor.
   */
  by: z._default(z.enum(['activations', 'weights']), 'activations'),
  /** Largest factor on a channel. */
  largest: z._default(z.number().check(z.gt(1)), 64),
  /**
   * activations: a channel's range ends at this many root mean squares, since 8-bit calibration
   * clips about there; a large number takes the extremes. With the extremes one outlier sets
   * the scale of its channel: resnet20 had 28.4 dB in place of 29.9.
   */
  deviations: z._default(z.number().check(z.gt(0)), 8),
  /** weights: most rounds over all layers; it ends when no scale moves by 0.1 %. */
  rounds: z._default(z.int().check(z.gte(1)), 20),
  /**
   * What to do about Clip with an upper bound (Relu6). samples: scale a channel as far as the
   * samples stay under the bound; inputs with larger values are clipped earlier than before.
   * skip: leave such layers alone, so that the outputs are the same for every input.
   */
  clip: z._default(z.enum(['samples', 'skip']), 'samples'),
});

type EqualizeOptions = z.output<typeof equalizeOptions>;

/** @example await applyPass(model, equalize, {}, { engine, samples }) */
export const equalize = definePass({
  name: 'equalize',
  summary: 'Scales channels between layers so that one range fits them all; outputs stay the same.',
  options: equalizeOptions,
  async run(model, options, context) {
    const report = new ReportBuilder();
    await inferShapes(requireEngine(context, 'equalize'), model);
    const found = await findChannelClasses(model);
    for (const { node, reason } of found.skipped) report.skip(node, reason);
    const classes: ChannelClass[] = [];
    for (const each of found.classes) {
      const clip = each.clips[0]?.node;
      if (!clip || options.clip === 'samples') classes.push(each);
      else for (const node of each.producers) report.skip(node, `Clip ${clip.label} bounds it`);
    }
    const statistics = await statisticsOf(model, classes, options, context);
    if (options.by === 'activations') {
      for (const each of classes) {
        throwIfAborted(context.signal);
        await equalizeActivations(each, statistics, options, report);
      }
    } else await equalizeWeights(classes, statistics, options, context, report);
    return report;
  },
});

async function statisticsOf(
  model: Model,
  classes: readonly ChannelClass[],
  options: EqualizeOptions,
  context: PassContext,
): Promise<Map<string, ChannelStatistics>> {
  const names = classes.flatMap(({ taken, clips }) => [
    ...(options.by === 'activations' ? taken.map(({ name }) => name) : []),
    ...clips.map(({ node }) => node.output().name),
  ]);
  if (names.length === 0) return new Map();
  return channelStatistics(model, [...new Set(names)], context, 'equalize');
}

async function equalizeActivations(
  channelClass: ChannelClass,
  statistics: ReadonlyMap<string, ChannelStatistics>,
  { largest, deviations }: EqualizeOptions,
  report: ReportBuilder,
): Promise<void> {
  const { taken, consumers } = channelClass;
  const weights: ConsumerWeights[] = [];
  for (const { node, value } of consumers) {
    const { meanSquares } = statistics.get(value.name)!;
    weights.push(await consumerWeights(layer(node), meanSquares));
  }
  const ranges = {
    activations: taken.map(({ name }) => keptRanges(statistics.get(name)!, deviations)),
    consumers: weights,
    limits: limitsOf(channelClass, statistics),
  };
  const { scales, exponent, noise, noiseBefore } = byActivations(ranges, largest);
  const skipAll = (reason: string) => {
    for (const node of channelClass.producers) report.skip(node, reason);
  };
  if (exponent === 0) {
    skipAll('no scaling of its channels lowers the predicted noise');
    return;
  }
  if (!(await scaleClass(channelClass, scales))) {
    skipAll('a scaled weight would leave the range of its type');
    return;
  }
  for (const [name, { peaks, meanSquares }] of statistics) {
    if (!channelClass.values.some((value) => value.name === name)) continue;
    for (let c = 0; c < scales.length; c++) {
      peaks[c]! *= scales[c]!;
      meanSquares[c]! *= scales[c]! ** 2;
    }
  }
  const gain = 10 * Math.log10(noiseBefore / noise);
  for (const node of channelClass.producers) {
    report.change(
      node,
      `channels scaled, exponent ${exponent}, predicted noise -${gain.toFixed(1)} dB`,
    );
  }
}

/** The part of each channel's range that calibration will keep. */
function keptRanges({ peaks, meanSquares }: ChannelStatistics, deviations: number): Float64Array {
  return peaks.map((peak, c) => Math.min(peak, deviations * Math.sqrt(meanSquares[c]!)));
}

async function equalizeWeights(
  classes: readonly ChannelClass[],
  statistics: ReadonlyMap<string, ChannelStatistics>,
  { largest, rounds }: EqualizeOptions,
  context: PassContext,
  report: ReportBuilder,
): Promise<void> {
  const totals = new Map(classes.map((each) => [each, new Float64Array(each.channels).fill(1)]));
  let done = 0;
  for (let moved = true; moved && done < rounds; done++) {
    throwIfAborted(context.signal);
    moved = false;
    for (const [channelClass, total] of totals) {
      const made = await peaksOf(channelClass, 'out');
      const takenPeaks = await peaksOf(channelClass, 'in');
      const bounds = limitsOf(channelClass, statistics).map((limit, c) => limit / total[c]!);
      const scales = byWeights(made, takenPeaks, bounds, largest);
      if (!scales.some((s) => Math.abs(s - 1) > 1e-3)) continue;
      if (!(await scaleClass(channelClass, scales))) continue;
      moved = true;
      scales.forEach((s, c) => {
        total[c]! *= s;
      });
    }
  }
  for (const [{ producers }, total] of totals) {
    const changed = total.some((s) => s !== 1);
    for (const node of producers) {
      if (changed) report.change(node, 'weight ranges equalized with the layers that follow');
      else report.skip(node, 'its weight ranges are equal already');
    }
  }
  report.note(`${done} rounds`);
}

/** How far each channel can be scaled before a clip bounds it on the samples. */
function limitsOf(
  { channels, clips }: ChannelClass,
  statistics: ReadonlyMap<string, ChannelStatistics>,
): Float64Array {
  const limits = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
  for (const { node, high } of clips) {
    const { peaks } = statistics.get(node.output().name)!;
    for (let c = 0; c < channels; c++) {
      // A channel that reaches the bound is clipped there and must stay as it is.
      const room = peaks[c]! > 0 ? high / peaks[c]! : 1;
      limits[c] = Math.min(limits[c]!, Math.max(1, room));
    }
  }
  return limits;
}

/** max |w| per channel over all layers on one side of the class. */
async function peaksOf({ producers, consumers, channels }: ChannelClass, side: 'in' | 'out') {
  const peaks = new Float64Array(channels);
  for (const node of side === 'out' ? producers : consumers.map((each) => each.node)) {
    const { weight, layout } = layer(node);
    const values = await floatArray(weight);
    const channelOf = side === 'out' ? layout.outChannel : layout.inChannel;
    for (let row = 0, at = 0; row < layout.rows; row++) {
      for (let column = 0; column < layout.columns; column++) {
        const c = channelOf(row, column);
        for (let end = at + layout.inner; at < end; at++) {
          peaks[c] = Math.max(peaks[c]!, Math.abs(values[at]!));
        }
      }
    }
  }
  return peaks;
}

/** Per output channel of the layer, whichever way its weight is stored. */
async function consumerWeights(
  { weight, layout }: Linear,
  meanSquares: Float64Array,
): Promise<ConsumerWeights> {
  const values = await floatArray(weight);
  const { rows, columns, inner, outChannels } = layout;
  const perOutput = (rows * columns) / outChannels;
  const peaks = new Float64Array(rows * columns);
  const squares = new Float64Array(rows * columns);
  const channels = new Int32Array(rows * columns);
  const filled = new Int32Array(outChannels);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const out = layout.outChannel(row, column);
      const entry = out * perOutput + filled[out]!++;
      channels[entry] = layout.inChannel(row, column);
      for (let end = at + inner; at < end; at++) {
        peaks[entry] = Math.max(peaks[entry]!, Math.abs(values[at]!));
        squares[entry]! += values[at]! ** 2;
      }
    }
  }
  const channel = (row: number, column: number) => channels[row * perOutput + column]!;
  return { peaks, squares, columns: perOutput, channel, taps: inner, meanSquares };
}

/** All or nothing: false when a number would leave the range of its type. */
async function scaleClass(
  { producers, consumers }: ChannelClass,
  scales: Float64Array,
): Promise<boolean> {
  const noShift = new Float64Array(scales.length);
  const inverse = scales.map((s) => 1 / s);
  const nodes = new Set(producers);
  for (const { node } of consumers) nodes.add(node);
  const undo: (() => void)[] = [];
  const made = new Set(producers);
  const taking = new Set(consumers.map(({ node }) => node));
  for (const node of nodes) {
    const steps = [
      ...(made.has(node) ? [() => planAfter(layer(node), { scale: scales, shift: noShift })] : []),
      ...(taking.has(node)
        ? [() => planBefore(layer(node), { scale: inverse, shift: noShift })]
        : []),
    ];
    for (const step of steps) {
      const before = [1, 2].map((index) => [index, node.inputs[index]?.initializer] as const);
      const apply = await step();
      if (!apply) {
        for (const back of undo.reverse()) back();
        return false;
      }
      apply();
      undo.push(() => {
        for (const [index, tensor] of before) {
          if (tensor) node.inputs[index]!.initializer = tensor;
        }
      });
    }
  }
  return true;
}

function layer(node: Node): Linear {
  return channelLinear(node) as Linear;
}

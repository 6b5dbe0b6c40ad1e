/**
 * Takes out what quantization adds to the mean of each output channel. Rounding of weights and
 * clipping of activations are no zero-mean noise: with E[x] the mean of an input channel and
 * E[q(x)] that of its quantized form, channel c of the output moves by
 * sum_k Wq[c,k] E[q(x_k)] - W[c,k] E[x_k], which the bias can absorb. Borders of a padded
 * convolution see other means; that is neglected.
 *
 * Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
 * (2019), section 4.2, with means from samples in place of those of a batch norm. One pass over
 * the samples, all layers at once, since each is corrected for its own error only.
 */
import type { Feeds } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { type PassContext, requireEngine } from '../../pass.js';
import type { QuantizationParameters } from './parameters.js';

/** Means of the channels of a value, and of its quantized form. */
export interface ChannelMeans {
  readonly float: Float64Array;
  readonly quantized: Float64Array;
}

export interface MeanRequest {
  readonly name: string;
  /** Axis of the channels, such as 1 for [N,C,H,W]. */
  readonly axis: number;
  readonly rank: number;
  readonly parameters: QuantizationParameters;
}

/** As `channelMeans`, over the samples of the context; nothing where there are none. */
export async function cachedMeans(
  model: Model,
  requests: readonly MeanRequest[],
  context: PassContext,
): Promise<Map<string, ChannelMeans>> {
  const known = context.statistics?.entryFor(model).means ?? new Map<string, ChannelMeans>();
  const keyOf = ({ name, parameters: { scale, zeroPoint } }: MeanRequest) =>
    `${name}|${scale}|${zeroPoint}`;
  const missing = requests.filter((request) => !known.has(keyOf(request)));
  if (missing.length > 0 && context.samples) {
    const found = await channelMeans(model, missing, context.samples, context);
    for (const request of missing) {
      const means = found.get(request.name);
      if (means) known.set(keyOf(request), means);
    }
  }
  const means = new Map<string, ChannelMeans>();
  for (const request of requests) {
    const found = known.get(keyOf(request));
    if (found) means.set(request.name, found);
  }
  return means;
}

/** By value name. The quantized form is made of the float one, so errors do not pile up. */
export async function channelMeans(
  model: Model,
  requests: readonly MeanRequest[],
  samples: () => AsyncIterable<Feeds>,
  context: PassContext,
): Promise<Map<string, ChannelMeans>> {
  const engine = requireEngine(context, 'bias correction');
  const probe = cloneModel(model);
  const ports = requests.map((request) => {
    const value = probe.graph.value(request.name);
    return {
      request,
      float: addMean(value, request),
      quantized: addMean(addQuantized(value, request.parameters), request),
    };
  });
  const fetches = ports.flatMap(({ float, quantized }) => [float, quantized]);
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  const sums = new Map<string, { float: Float64Array; quantized: Float64Array; rows: number }>();
  const task = context.progress.task('bias correction: means');
  let count = 0;
  try {
    for await (const feeds of samples()) {
      throwIfAborted(context.signal);
      const results = await session.run(feeds, fetches);
      for (const { request, float, quantized } of ports) {
        const rows = results[float]!;
        const channels = rows.dims.at(-1)!;
        let sum = sums.get(request.name);
        if (!sum) {
          const zeros = () => new Float64Array(channels);
          sums.set(request.name, (sum = { float: zeros(), quantized: zeros(), rows: 0 }));
        }
        addRows(sum.float, float32Of(rows));
        addRows(sum.quantized, float32Of(results[quantized]!));
        sum.rows += float32Of(rows).length / channels;
      }
      task.update(++count);
    }
  } finally {
    task.end();
    await session.release();
  }
  for (const { float, quantized, rows } of sums.values()) {
    for (let channel = 0; channel < float.length; channel++) {
      float[channel]! /= Math.max(1, rows);
      quantized[channel]! /= Math.max(1, rows);
    }
  }
  return sums;
}

/** Adds up rows of one number per channel. */
function addRows(sum: Float64Array, rows: Float32Array): void {
  for (let i = 0; i < rows.length; i++) sum[i % sum.length]! += rows[i]!;
}

/**
 * What must be taken off the bias of each output channel.
 *
 * @param dims of the weight; `axis` is the axis of its output channels
 * @param groups of a grouped convolution: output channel c sees the inputs of its group only
 */
export function meanShift(
  weights: { readonly float: Float32Array; readonly quantized: Float32Array },
  dims: readonly number[],
  axis: number,
  groups: number,
  means: ChannelMeans,
): Float64Array {
  const channels = dims[axis]!;
  const inputs = dims[axis === 0 ? 1 : 0]!;
  const taps = dims.slice(2).reduce((product, dim) => product * dim, 1);
  const perGroup = channels / groups;
  const shift = new Float64Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const firstInput = Math.floor(channel / perGroup) * inputs;
    let sum = 0;
    for (let input = 0; input < inputs; input++) {
      const start = (axis === 0 ? channel * inputs + input : input * channels + channel) * taps;
      let float = 0;
      let quantized = 0;
      for (let tap = start; tap < start + taps; tap++) {
        float += weights.float[tap]!;
        quantized += weights.quantized[tap]!;
      }
      const at = firstInput + input;
      sum += quantized * means.quantized[at]! - float * means.float[at]!;
    }
    shift[channel] = sum;
  }
  return shift;
}

/**
 * Means over all axes but the channels and the first, which holds the samples of a batch: their
 * rows are added up outside, so that it does not matter how samples are cut into batches.
 */
function addMean(value: Value, { axis, rank }: MeanRequest): string {
  const { graph } = value;
  const axes = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis && i !== 0);
  const opset = graph.opset() ?? 13;
  const reduce = () =>
    // The axes became an input with opset 18.
    graph.addNode({
      opType: 'ReduceMean',
      inputs:
        opset >= 18
          ? [value, graph.addInitializer('mean_axes', Tensor.of('int64', [axes.length], axes))]
          : [value],
      attributes: { keepdims: 0, ...(opset < 18 && { axes }) },
    });
  const node = axes.length > 0 ? reduce() : graph.addNode({ opType: 'Identity', inputs: [value] });
  const output = node.output();
  output.type = tensorType('float');
  graph.outputs.push(output);
  return output.name;
}

function addQuantized(value: Value, { scale, zeroPoint, dataType }: QuantizationParameters): Value {
  const { graph } = value;
  const parameters = [
    graph.addInitializer('probe_scale', Tensor.scalar('float', scale)),
    graph.addInitializer('probe_zero_point', Tensor.scalar(dataType, zeroPoint)),
  ];
  const quantized = graph
    .addNode({ opType: 'QuantizeLinear', inputs: [value, ...parameters] })
    .output();
  return graph.addNode({ opType: 'DequantizeLinear', inputs: [quantized, ...parameters] }).output();
}

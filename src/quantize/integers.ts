/**
 * Symmetric integers of weights: scales per channel or for the whole tensor, and the codes under
 * them. The rounding itself is that of kernels.ts.
 */
import { PareError } from '../errors.js';
import { dequantizeLinear, quantizeLinear, roundHalfEven } from './kernels.js';

export { roundHalfEven };

/** How a tensor is cut into channels: `axis` undefined means one scale for all of it. */
export interface ChannelLayout {
  readonly dims: readonly number[];
  readonly axis: number | undefined;
}

export interface QuantizedWeight {
  /** One entry per element, in the order of the input. */
  readonly values: Int8Array | Uint8Array;
  /** One per channel, or one. All positive. */
  readonly scales: Float32Array;
  /** The same for all channels: 0 for int8, 128 for uint8. */
  readonly zeroPoint: number;
}

export interface WeightFormat {
  readonly dataType: 'int8' | 'uint8';
  /**
   * Seven bits instead of eight. CPUs without VNNI add pairs of u8*s8 products in 16 bits, which
   * saturate with full-range weights; half the range cannot.
   */
  readonly reduceRange?: boolean;
}

/**
 * Symmetric quantization of a weight: scale = max|w| / 127 per channel, so that zero stays zero.
 * uint8 holds the same codes moved by 128, for kernels that want unsigned weights.
 * Throws `invalid-model` on NaN or infinite weights, with their number and first channel.
 *
 * @param tensor name of the weight, for errors
 *
 * @example
 * quantizeWeight(weights, { dims: [64, 3, 3, 3], axis: 0 }, { dataType: 'int8' }).scales.length // 64
 */
export function quantizeWeight(
  weights: Float32Array,
  layout: ChannelLayout,
  format: WeightFormat,
  tensor?: string,
): QuantizedWeight {
  const limit = format.reduceRange ? 63 : 127;
  const scales = symmetricScales(weights, layout, limit, tensor);
  const zeroPoint = format.dataType === 'uint8' ? 128 : 0;
  const range = { low: zeroPoint - limit, high: zeroPoint + limit };
  const values = quantizeLinear(weights, scales, zeroPoint, format.dataType, {
    ...layout,
    ...range,
  }) as Int8Array | Uint8Array;
  return { values, scales, zeroPoint };
}

/** Codes of int8 weights under scales that are given; `limit` is the largest magnitude. */
export function quantizeWithScales(
  weights: Float32Array,
  layout: ChannelLayout,
  scales: Float32Array,
  limit: number,
): Int8Array {
  const range = { low: -limit, high: limit };
  return quantizeLinear(weights, scales, 0, 'int8', { ...layout, ...range }) as Int8Array;
}

/** Back to float, as DequantizeLinear does it. */
export function dequantizeWeight(weight: QuantizedWeight, layout: ChannelLayout): Float32Array {
  return dequantizeLinear(weight.values, weight.scales, weight.zeroPoint, layout);
}

/** max|w| / limit per channel; 1 for a channel of zeros or of values too small for a scale. */
export function symmetricScales(
  weights: Float32Array,
  layout: ChannelLayout,
  limit: number,
  tensor?: string,
): Float32Array {
  const peaks = new Float64Array(channelCount(layout));
  let bad = 0;
  let firstBad = -1;
  forEachChannel(layout, (channel, start, length) => {
    let peak = peaks[channel]!;
    for (let i = start; i < start + length; i++) {
      const magnitude = Math.abs(weights[i]!);
      if (magnitude > peak) peak = magnitude;
      if (!Number.isFinite(magnitude)) {
        bad++;
        if (firstBad < 0) firstBad = channel;
      }
    }
    peaks[channel] = peak;
  });
  if (bad > 0) {
    throw new PareError(
      'invalid-model',
      `quantize: ${bad} weights are NaN or infinite, the first in channel ${firstBad}`,
      { tensor, hint: 'repair or retrain the model, or exclude the nodes that use it' },
    );
  }
  return Float32Array.from(peaks, (peak) => {
    const scale = Math.fround(peak / limit);
    return scale > smallestNormal ? scale : 1;
  });
}

/** Below the smallest normal float32 a scale loses bits or vanishes. */
const smallestNormal = 2 ** -126;

export function channelCount({ dims, axis }: ChannelLayout): number {
  return axis === undefined ? 1 : dims[axis]!;
}

/** Calls back for every run of consecutive elements that belong to one channel. */
function forEachChannel(
  { dims, axis }: ChannelLayout,
  visit: (channel: number, start: number, length: number) => void,
): void {
  if (axis === undefined) {
    visit(
      0,
      0,
      dims.reduce((product, dim) => product * dim, 1),
    );
    return;
  }
  const channels = dims[axis]!;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const outer = dims.slice(0, axis).reduce((product, dim) => product * dim, 1);
  for (let o = 0, start = 0; o < outer; o++) {
    for (let channel = 0; channel < channels; channel++, start += inner) {
      visit(channel, start, inner);
    }
  }
}

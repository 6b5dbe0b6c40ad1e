/**
 * The int32 bias of an integer kernel: it has the scale of the products, so that the kernel adds it
 * without a conversion, and the weight scales have to leave it room. Numbers only; the graph is
 * written elsewhere.
 */
import { elementCount } from '../../onnx/data-type.js';
import { roundHalfEven, type WeightLayout } from '../integers.js';

/** The largest int32. */
const largestInt32 = 2 ** 31 - 1;

/** Scale of the products: one, or one per output channel. */
export function biasScales(activationScale: number, weightScales: Float32Array): Float32Array {
  return weightScales.map((scale) => Math.fround(activationScale * scale));
}

/** @param scales one, or as many as the bias has channels */
export function biasCodes(bias: Float32Array, scales: Float32Array): Int32Array {
  return Int32Array.from(bias, (value, channel) => {
    const steps = Math.fround(value / scales[scales.length === 1 ? 0 : channel]!);
    const rounded = roundHalfEven(steps);
    return Math.max(-largestInt32, Math.min(largestInt32, rounded));
  });
}

/**
 * A channel with tiny weights and a large bias would need a bias beyond int32: its weight scale
 * grows until the bias fits. The weights of such a channel hardly matter beside its bias. A
 * channel without weights (pruned, or dead) is nothing but its bias: any scale is right for its
 * zeros, so it gets one that leaves the bias 24 bits.
 */
export function makeRoomForBias(
  scales: Float32Array,
  bias: Float32Array,
  activationScale: number,
  silent: readonly boolean[],
): void {
  for (let channel = 0; channel < bias.length; channel++) {
    const at = scales.length === 1 ? 0 : channel;
    const needed = (Math.abs(bias[channel]!) * 1.0001) / (activationScale * largestInt32);
    const fine = Math.fround(needed * 2 ** 7);
    const isNormal = Math.fround(fine * activationScale) >= 2 ** -126;
    if (silent[at] && scales.length > 1 && isNormal) scales[at] = fine;
    else if (scales[at]! < needed) scales[at] = needed;
  }
}

/** By channel, whether all its weights are zero. */
export function isSilent(floats: Float32Array, { dims, axis }: WeightLayout): boolean[] {
  const channels = axis === undefined ? 1 : dims[axis]!;
  const inner = axis === undefined ? floats.length : elementCount(dims.slice(axis + 1));
  const silent = new Array<boolean>(channels).fill(true);
  for (let i = 0; i < floats.length; i++) {
    if (floats[i] !== 0) silent[Math.floor(i / inner) % channels] = false;
  }
  return silent;
}

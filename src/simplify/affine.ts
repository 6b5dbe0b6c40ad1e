/**
 * Numerics of folding y = x * scale + shift, per channel, into the weight of a linear operator.
 * Works on element loops in double precision; knows no operator and no graph.
 */
import { PareError } from '../errors.js';
import type { DataType } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';

/** One entry per channel in both. */
export interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/**
 * A weight seen as [rows, columns, inner], and which channel of the output and of the input each
 * (row, column) belongs to. `inner` is the kernel of a convolution, 1 for matrices.
 */
export interface WeightLayout {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly outChannels: number;
  readonly inChannels: number;
  outChannel(row: number, column: number): number;
  inChannel(row: number, column: number): number;
}

export type Side = 'out' | 'in';

/** Types whose weights can be folded: rounding to fewer bits would change the outputs visibly. */
export function isFoldable(dataType: DataType): boolean {
  return dataType === 'float' || dataType === 'double';
}

/** The weight times the scale of the channel on the given side. */
export async function scaleWeight(
  weight: Tensor,
  layout: WeightLayout,
  side: Side,
  scale: Float64Array,
): Promise<Tensor> {
  const from = await floatArray(weight);
  const to = from.slice();
  const channel = side === 'out' ? layout.outChannel : layout.inChannel;
  const { rows, columns, inner } = layout;
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const factor = scale[channel(row, column)]!;
      for (let end = at + inner; at < end; at++) to[at] = from[at]! * factor;
    }
  }
  return Tensor.of(weight.dataType, weight.dims, to);
}

/** What a constant `shift` on each input channel adds to each output channel. */
export async function shiftThrough(
  weight: Tensor,
  layout: WeightLayout,
  shift: Float64Array,
): Promise<Float64Array> {
  const from = await floatArray(weight);
  const sums = new Float64Array(layout.outChannels);
  const { rows, columns, inner } = layout;
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let end = at + inner; at < end; at++) sum += from[at]!;
      const out = layout.outChannel(row, column);
      sums[out] = sums[out]! + sum * shift[layout.inChannel(row, column)]!;
    }
  }
  return sums;
}

/**
 * A constant as one number per channel: it must broadcast along all axes but `axis` (counted from
 * the end when negative) of a value of `rank` (undefined: unknown). Undefined when it does not.
 */
export async function channelVector(
  tensor: Tensor,
  place: { readonly axis: number; readonly rank: number | undefined; readonly count: number },
): Promise<Float64Array | undefined> {
  const { axis, rank, count } = place;
  const { dims } = tensor;
  if (!isFoldable(tensor.dataType) || (tensor.size !== 1 && tensor.size !== count))
    return undefined;
  // More axes than the value has would add axes to the result.
  if (dims.length > (rank ?? Math.min(-axis, 1))) return undefined;
  const fromEnd = axis < 0 ? -axis : rank === undefined ? undefined : rank - axis;
  if (fromEnd === undefined) return undefined;
  if (!dims.every((dim, i) => dim === 1 || (dims.length - i === fromEnd && dim === count))) {
    return undefined;
  }
  const numbers = await floatArray(tensor);
  return Float64Array.from({ length: count }, (_, i) => numbers[tensor.size === 1 ? 0 : i]!);
}

export async function floatArray(tensor: Tensor): Promise<Float32Array | Float64Array> {
  const array = await tensor.array();
  if (array instanceof Float32Array || array instanceof Float64Array) return array;
  throw new PareError('unsupported', `simplify: ${tensor.dataType} weights are not folded`);
}

/**
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear in typed arrays, bit for bit as the
 * runtime's CPU kernels compute them. Numbers in, numbers out: nothing here knows of graphs.
 * Source: the ONNX operators of these names; the order of the float32 roundings is ONNX Runtime's.
 */
import { PareError } from '../errors.js';
import { dataTypes, elementCount } from '../onnx/data-type.js';

/** What QuantizeLinear can make here. */
export type QuantizedType = 'int8' | 'uint8' | 'int16' | 'uint16' | 'int4' | 'uint4';

export type QuantizedArray = Int8Array | Uint8Array | Int16Array | Uint16Array;

/**
 * How scales lie over a tensor. Without an axis there is one scale; with an axis one for every
 * index of it, or for every block of `blockSize` indices. A blocked scale has the rank of the
 * tensor: the scales of [2,6] in blocks of 3 along axis 1 are [2,2].
 */
export interface ScaleLayout {
  readonly dims?: readonly number[] | undefined;
  readonly axis?: number | undefined;
  readonly blockSize?: number | undefined;
}

export interface QuantizeLayout extends ScaleLayout {
  /** Lowest and highest integer, where they are to be fewer than the type has. */
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

/** Adding and subtracting 1.5 * 2^52 rounds a double to an integer, ties to even. */
const roundingShift = 6755399441055744;

/** Nearest integer, ties to even, for |x| below 2^51; Math.round would take ties up. */
export function roundHalfEven(x: number): number {
  return x + roundingShift - roundingShift;
}

/**
 * clamp(round(values / scale) + zeroPoint): the quotient is a float32, ties go to even. 4-bit
 * types have one array entry per element; Tensor.of packs them.
 *
 * @param scale float32 numbers, not zero; one, or as many as the layout has channels or blocks
 * @param zeroPoint one for all, or one per scale
 * @throws PareError `invalid-data` on NaN, whose integer ONNX leaves open
 *
 * @example
 * quantizeLinear(Float32Array.of(-1, 0.25, 0.75, 9), 0.5, 128, 'uint8'); // 126, 128, 130, 146
 */
export function quantizeLinear(
  values: Float32Array,
  scale: number | Float32Array,
  zeroPoint: number | ArrayLike<number>,
  dataType: QuantizedType,
  layout: QuantizeLayout = {},
): QuantizedArray {
  const { bits, kind, array: ArrayOfType } = dataTypes[dataType];
  const signed = kind === 'signed';
  const { low = signed ? -(2 ** (bits - 1)) : 0, high = 2 ** (signed ? bits - 1 : bits) - 1 } =
    layout;
  const out = new ArrayOfType!(values.length) as QuantizedArray;
  const zeros = listOf(zeroPoint);
  const scales = listOf(scale);
  forEachRun(values.length, scales.length, layout, (at, start, end) => {
    const step = Math.fround(scales[at]!);
    const zero = zeros[zeros.length === 1 ? 0 : at]!;
    const least = low - zero;
    const most = high - zero;
    for (let i = start; i < end; i++) {
      const steps = Math.fround(values[i]! / step);
      if (steps < least) out[i] = low;
      else if (steps > most) out[i] = high;
      else if (Number.isNaN(steps)) throw notANumber(i, values[i]!, step);
      else out[i] = roundHalfEven(steps) + zero;
    }
  });
  return out;
}

/**
 * (values - zeroPoint) * scale, both factors rounded to float32.
 *
 * @param values integers, one entry per element; int32 is what biases are stored in
 *
 * @example
 * dequantizeLinear(Uint8Array.of(126, 128), 0.5, 128); // -1, 0
 */
export function dequantizeLinear(
  values: ArrayLike<number>,
  scale: number | Float32Array,
  zeroPoint: number | ArrayLike<number>,
  layout: ScaleLayout = {},
): Float32Array {
  const out = new Float32Array(values.length);
  const zeros = listOf(zeroPoint);
  const scales = listOf(scale);
  forEachRun(values.length, scales.length, layout, (at, start, end) => {
    const step = Math.fround(scales[at]!);
    const zero = zeros[zeros.length === 1 ? 0 : at]!;
    for (let i = start; i < end; i++) out[i] = Math.fround(values[i]! - zero) * step;
  });
  return out;
}

/**
 * uint8 integers with scale and zero point of the values' own range, which always holds zero.
 * Values that are all zero have scale 1.
 */
export function dynamicQuantizeLinear(values: Float32Array): {
  readonly values: Uint8Array;
  readonly scale: number;
  readonly zeroPoint: number;
} {
  let min = 0;
  let max = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  const scale = max === min ? 1 : Math.fround(Math.fround(max - min) / 255);
  const exact = -Math.fround(min / scale);
  const zeroPoint = roundHalfEven(Math.max(0, Math.min(255, exact)));
  const quantized = quantizeLinear(values, scale, zeroPoint, 'uint8') as Uint8Array;
  return { values: quantized, scale, zeroPoint };
}

function listOf(numbers: number | ArrayLike<number>): ArrayLike<number> {
  return typeof numbers === 'number' ? [numbers] : numbers;
}

/** Dims of the scales of a layout; a scale for all of a tensor is a scalar. */
export function scaleDims({ dims, axis, blockSize = 0 }: ScaleLayout): number[] {
  if (!dims || axis === undefined) return [];
  if (blockSize === 0) return [dims.at(axis)!];
  const along = axis < 0 ? axis + dims.length : axis;
  return dims.map((dim, i) => (i === along ? Math.ceil(dim / blockSize) : dim));
}

/**
 * Calls back for every run [start, end) of elements under one scale, `at` among `count`; a scale
 * may have several runs.
 */
export function forEachRun(
  length: number,
  count: number,
  layout: ScaleLayout,
  visit: (at: number, start: number, end: number) => void,
): void {
  const { dims, axis, blockSize = 0 } = layout;
  if (axis === undefined) {
    checkCount(count, 1, dims);
    visit(0, 0, length);
    return;
  }
  const rank = dims?.length ?? 0;
  const along = axis < 0 ? axis + rank : axis;
  if (!dims || !(along >= 0 && along < rank) || elementCount(dims) !== length) {
    throw new PareError(
      'usage',
      `quantize: axis ${axis} of dims [${dims ?? ''}] for ${length} elements`,
      { hint: 'give the dims of the tensor along with the axis' },
    );
  }
  const channels = dims[along]!;
  const inner = elementCount(dims.slice(along + 1));
  const outer = elementCount(dims.slice(0, along));
  const blocks = blockSize > 0 ? Math.ceil(channels / blockSize) : channels;
  checkCount(count, elementCount(scaleDims(layout)), dims);
  for (let o = 0, start = 0; o < outer; o++) {
    for (let channel = 0; channel < channels; channel++, start += inner) {
      if (blockSize === 0) visit(channel, start, start + inner);
      else if (inner === 1) {
        // The last axis: a block is one run.
        const end = Math.min(blockSize, channels - channel);
        visit(o * blocks + channel / blockSize, start, start + end);
        channel += end - 1;
        start += end - 1;
      } else {
        const first = (o * blocks + Math.floor(channel / blockSize)) * inner;
        for (let i = 0; i < inner; i++) visit(first + i, start + i, start + i + 1);
      }
    }
  }
}

function checkCount(count: number, expected: number, dims: readonly number[] | undefined): void {
  if (count === expected) return;
  throw new PareError(
    'usage',
    `quantize: ${count} scales given, dims [${dims ?? ''}] need ${expected}`,
  );
}

function notANumber(index: number, value: number, scale: number): PareError {
  return new PareError(
    'invalid-data',
    `quantize: element ${index} is ${value} and its scale ${scale}: their quotient is no number`,
  );
}

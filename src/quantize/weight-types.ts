/**
 * Everything that a weight can be stored as: integers with scales and zero points, and float8 with
 * scales. One function makes any of them; who stores weights need not know which it is.
 */
import { elementCount } from '../onnx/data-type.js';
import { float8ToFloat32, float32ToFloat8e4m3fn } from '../onnx/float8.js';
import {
  dequantizeWeight,
  extremes,
  quantizeWeight,
  scaleOf,
  type WeightFormat,
  type WeightLayout,
} from './integers.js';
import { forEachRun, type QuantizedArray, scaleDims } from './kernels.js';
import type { IntegerWeightType, WeightType } from './names.js';

export type StoredFormat =
  | WeightFormat
  | { readonly dataType: 'float8e4m3fn'; readonly symmetric?: boolean | undefined };

export interface EncodedWeight {
  /** Integers, or the codes of float8; one entry per element. */
  readonly values: QuantizedArray;
  readonly scales: Float32Array;
  /** float8 has none. */
  readonly zeroPoints: QuantizedArray | undefined;
}

/** The largest number of E4M3FN. */
const largestFloat8 = 448;

/** @throws PareError `invalid-model` on NaN or infinite weights */
export function encodeWeight(
  weights: Float32Array,
  layout: WeightLayout,
  format: StoredFormat,
  tensor?: string,
): EncodedWeight {
  if (format.dataType !== 'float8e4m3fn') return quantizeWeight(weights, layout, format, tensor);
  const count = elementCount(scaleDims(layout));
  const { lows, highs } = extremes(weights, layout, count, tensor);
  const scales = Float32Array.from(lows, (low, i) =>
    scaleOf(Math.max(-low, highs[i]!), largestFloat8),
  );
  const scaled = new Float32Array(weights.length);
  forEachRun(weights.length, count, layout, (at, start, end) => {
    for (let i = start; i < end; i++) scaled[i] = weights[i]! / scales[at]!;
  });
  return { values: float32ToFloat8e4m3fn(scaled), scales, zeroPoints: undefined };
}

/** Back to float, as the runtime's DequantizeLinear does it. */
export function decodeWeight(
  { values, scales, zeroPoints }: EncodedWeight,
  layout: WeightLayout,
): Float32Array {
  if (zeroPoints) return dequantizeWeight({ values, scales, zeroPoints }, layout);
  const floats = float8ToFloat32('float8e4m3fn', values as Uint8Array);
  forEachRun(floats.length, scales.length, layout, (at, start, end) => {
    for (let i = start; i < end; i++) floats[i] = floats[i]! * scales[at]!;
  });
  return floats;
}

/** Signed integers lie around zero anyway; unsigned ones take the range of the weights. */
export function isSymmetric(dataType: WeightType, asked: boolean | undefined): boolean {
  return asked ?? !unsignedTypes.has(dataType);
}

const unsignedTypes: ReadonlySet<WeightType> = new Set<IntegerWeightType>([
  'uint8',
  'uint4',
  'uint16',
]);

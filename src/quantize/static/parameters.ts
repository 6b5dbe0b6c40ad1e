/**
 * Scale and zero point of a range. Source: ONNX QuantizeLinear and the conventions of ONNX
 * Runtime's quantizer: zero is always representable, since padding and ReLU depend on it.
 */
import { dataTypes } from '../../onnx/data-type.js';
import type { CalibratedRange } from '../calibrate/calibrators.js';
import { roundHalfEven } from '../kernels.js';
import type { activationTypes } from './override-schema.js';

export type ActivationType = (typeof activationTypes)[number];

export interface QuantizationParameters {
  readonly dataType: ActivationType;
  /** A float32 number. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Lowest and highest integer; symmetric signed types leave out the lowest, so that -x exists. */
export function integerRange(
  dataType: ActivationType,
  symmetric: boolean,
): { readonly low: number; readonly high: number } {
  const { bits, kind } = dataTypes[dataType];
  if (kind === 'unsigned') return { low: 0, high: 2 ** bits - 1 };
  return { low: -(2 ** (bits - 1)) + (symmetric ? 1 : 0), high: 2 ** (bits - 1) - 1 };
}

/**
 * @example parametersOf({ min: -1, max: 1 }, 'uint8', false) // scale 2/255, zero point 128
 */
export function parametersOf(
  range: CalibratedRange,
  dataType: ActivationType,
  symmetric: boolean,
): QuantizationParameters {
  const { low, high } = integerRange(dataType, symmetric);
  let min = Math.min(0, range.min);
  let max = Math.max(0, range.max);
  if (symmetric) {
    const peak = Math.max(-min, max);
    min = -peak;
    max = peak;
  }
  const step = (max - min) / (high - low);
  const scale = Math.fround(step);
  const middle = roundHalfEven((low + high) / 2);
  // A range of zero, or one whose steps are no normal float32: everything becomes zero.
  if (!(scale >= 2 ** -126)) return { dataType, scale: 1, zeroPoint: symmetric ? middle : low };
  const zeroPoint = symmetric ? middle : roundHalfEven(low - min / step);
  return { dataType, scale, zeroPoint: Math.max(low, Math.min(high, zeroPoint)) };
}

/** The lowest and the highest number that the integers stand for. */
export function representedRange({
  dataType,
  scale,
  zeroPoint,
}: QuantizationParameters): CalibratedRange {
  const { low, high } = integerRange(dataType, false);
  return {
    min: Math.fround(Math.fround(low - zeroPoint) * scale),
    max: Math.fround(Math.fround(high - zeroPoint) * scale),
  };
}

/**
 * The same parameters, or ones with a scale that is less by the rounding to float32, when their
 * range lies inside these bounds; undefined when it reaches beyond them.
 */
export function insideBounds(
  parameters: QuantizationParameters,
  bounds: CalibratedRange,
): QuantizationParameters | undefined {
  for (const factor of [1, 1 - 2 ** -23, 1 - 2 ** -22]) {
    const candidate = { ...parameters, scale: Math.fround(parameters.scale * factor) };
    const { min, max } = representedRange(candidate);
    if (min >= bounds.min && max <= bounds.max) return candidate;
  }
  return undefined;
}

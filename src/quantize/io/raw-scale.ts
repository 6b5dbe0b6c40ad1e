/**
 * The numerics of taking raw integers as an input: value = (raw * scale - mean) / std per channel
 * becomes one step and one zero point for the whole tensor, and what is left per channel.
 * Pure functions; knows no graph.
 */
import { roundHalfEven } from '../integers.js';

export type RawType = 'uint8' | 'int8';

/** The preprocessing that is folded, one entry per channel of the model or one for all. */
export interface RawAffine {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface RawScale {
  /** A float32 number above 0. */
  readonly scale: number;
  readonly zeroPoint: number;
  /**
   * What the dequantized tensor x still lacks: value = x * factor[c] + shift[c]. One entry where
   * all channels are alike, with exact 1 and 0 where nothing is left.
   */
  readonly factor: Float64Array;
  readonly shift: Float64Array;
}

export function rawRange(dataType: RawType): readonly [low: number, high: number] {
  return dataType === 'uint8' ? [0, 255] : [-128, 127];
}

/** A zero point this near to a whole number of raw steps is one: decimals such as 0.2 are rounded. */
const wholeStep = 1e-5;

/**
 * The zero point is the raw value nearest to the channels' means, so that the zeros which a
 * convolution pads with stand for nearly the same raw value in every channel.
 *
 * @example rawScale({ scale: 1 / 255, mean: [0], std: [1] }, 'uint8') // scale 1/255, zero point 0
 */
export function rawScale({ scale, mean, std }: RawAffine, dataType: RawType): RawScale {
  const channels = Math.max(mean.length, std.length);
  const at = (list: readonly number[], channel: number) => list[list.length === 1 ? 0 : channel]!;
  const steps = Float64Array.from({ length: channels }, (_, c) => scale / at(std, c));
  const zeros = Float64Array.from({ length: channels }, (_, c) => at(mean, c) / scale);
  const sameStep = steps.every((step) => Math.fround(step) === Math.fround(steps[0]!));
  const common = sameStep ? steps[0]! : steps.reduce((sum, step) => sum + Math.abs(step), 0);
  const step = Math.fround(Math.abs(sameStep ? common : common / channels));
  const [low, high] = rawRange(dataType);
  const centre = zeros.reduce((sum, zero) => sum + zero, 0) / channels;
  const zeroPoint = Math.max(low, Math.min(high, roundHalfEven(centre))) + 0;
  const same = sameStep && steps[0]! > 0;
  const factor = steps.map((each) => (same ? 1 : each / step));
  const shift = steps.map((each, c) => {
    const left = zeroPoint - zeros[c]!;
    return Math.abs(left) <= wholeStep ? 0 : each * left;
  });
  return { scale: step, zeroPoint, ...shortest(factor, shift) };
}

/** True where the dequantized tensor is the value itself. */
export function isWhole({ factor, shift }: RawScale): boolean {
  return factor.every((each) => each === 1) && shift.every((each) => each === 0);
}

function shortest(factor: Float64Array, shift: Float64Array) {
  const alike = (list: Float64Array) => list.every((each) => each === list[0]);
  return alike(factor) && alike(shift)
    ? { factor: factor.slice(0, 1), shift: shift.slice(0, 1) }
    : { factor, shift };
}

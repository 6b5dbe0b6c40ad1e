/**
 * How far to scale each channel of a class, as pure functions of ranges.
 *
 * byWeights is cross-layer equalization (Nagel et al., "Data-Free Quantization Through Weight
 * Equalization and Bias Correction", 2019): both sides of the channel get the range sqrt(r1 r2),
 * for weights with one scale per tensor.
 *
 * byActivations is for weights with a scale per output channel, where scaling an output costs
 * nothing: channels are brought to one range, so that the one scale of the activation fits all of
 * them. What the consumers' weights lose by it is weighed as in SmoothQuant (Xiao et al., 2023),
 * but with the exponent that makes the predicted noise least: uniform rounding noise of both, sums
 * over channels and outputs, step^2 / 12 each.
 */

/** A layer that takes the class: rows are its output channels. */
export interface ConsumerWeights {
  /** Row `o` has max |w| over its kernel at `peaks[o * columns + i]`. */
  readonly peaks: Float64Array;
  /** Sum of squares over its kernel, likewise. */
  readonly squares: Float64Array;
  readonly columns: number;
  /** Channel of the class that entry (row, column) multiplies. */
  channel(row: number, column: number): number;
  /** Elements of a kernel. */
  readonly taps: number;
  /** E[x^2] of each channel at its input. */
  readonly meanSquares: Float64Array;
}

export interface ClassRanges {
  /** Magnitude to be kept, per channel of every value that becomes integers. */
  readonly activations: readonly Float64Array[];
  readonly consumers: readonly ConsumerWeights[];
  /** No channel may be scaled beyond this; infinite without a clip. */
  readonly limits: Float64Array;
}

/** Exponents that are tried: 0 leaves the class as it is, 1 brings all channels to one range. */
const exponents = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

export interface ActivationScales {
  readonly scales: Float64Array;
  readonly exponent: number;
  /** Predicted noise after and before, both in the unit of the outputs squared. */
  readonly noise: number;
  readonly noiseBefore: number;
}

/** @param largest factor between channels: a channel that is almost silent stays almost silent */
export function byActivations(ranges: ClassRanges, largest: number): ActivationScales {
  const { activations, limits } = ranges;
  const channels = limits.length;
  const peaks = new Float64Array(channels);
  for (const each of activations) {
    for (let c = 0; c < channels; c++) peaks[c] = Math.max(peaks[c]!, each[c]!);
  }
  const peak = peaks.reduce((most, each) => Math.max(most, each), 0);
  const at = (exponent: number) =>
    peaks.map((own, c) => (own > 0 ? Math.min(limits[c]!, largest, (peak / own) ** exponent) : 1));
  const noiseBefore = predictedNoise(ranges, at(0));
  let best = { scales: at(0), exponent: 0, noise: noiseBefore };
  for (const exponent of exponents) {
    const scales = at(exponent);
    const noise = predictedNoise(ranges, scales);
    if (noise < best.noise) best = { scales, exponent, noise };
  }
  return { ...best, noiseBefore };
}

const levels = 255;
const weightLimit = 127;

/** Noise at the outputs of the consumers: of rounding activations and of rounding weights. */
export function predictedNoise(ranges: ClassRanges, scales: Float64Array): number {
  let activationSteps = 0;
  for (const peaks of ranges.activations) {
    let peak = 0;
    for (let c = 0; c < scales.length; c++) peak = Math.max(peak, peaks[c]! * scales[c]!);
    activationSteps += (peak / levels) ** 2;
  }
  let noise = 0;
  for (const { peaks, squares, columns, channel, taps, meanSquares } of ranges.consumers) {
    const rows = peaks.length / columns;
    for (let row = 0; row < rows; row++) {
      let gain = 0;
      let power = 0;
      let peak = 0;
      for (let column = 0; column < columns; column++) {
        const c = channel(row, column);
        const s = scales[c]!;
        gain += squares[row * columns + column]! / (s * s);
        power += taps * s * s * meanSquares[c]!;
        peak = Math.max(peak, peaks[row * columns + column]! / s);
      }
      noise += activationSteps * gain + (peak / weightLimit) ** 2 * power;
    }
  }
  return noise / 12;
}

/**
 * @param made max |w| of what makes each channel, r1
 * @param taken max |w| of what takes it, r2
 */
export function byWeights(
  made: Float64Array,
  taken: Float64Array,
  limits: Float64Array,
  largest: number,
): Float64Array {
  return made.map((r1, c) => {
    const r2 = taken[c]!;
    if (!(r1 > 0 && r2 > 0)) return 1;
    return Math.max(1 / largest, Math.min(limits[c]!, largest, Math.sqrt(r2 / r1)));
  });
}

/**
 * How strongly to smooth a value: tries factors s_j = max|x_j|^a / max|w_j|^(1-a) for several a, on
 * rows from samples, with activations and weights both rounded to integers, and takes those whose
 * layers' outputs are nearest to the float ones. Pure numbers; knows no graph.
 *
 * Source: SmoothQuant (Xiao et al., 2023) for the factors; the search over `a` by the error of the
 * layer is that of Intel Neural Compressor's auto-tuned alpha.
 */
import type { MatMul, Matrix } from '../../engine/matmul.js';
import { dequantizeWeight, quantizeWeight } from '../integers.js';
import { dequantizeLinear, quantizeLinear } from '../kernels.js';
import { parametersOf } from '../static/parameters.js';
import type { InputRows } from './input-rows.js';

/** Weight of a layer as [channels, outputs]. */
export type LayerWeight = Matrix;

export interface Strength {
  /** Factor on each channel of the activation is 1 / scales[j]; on its weights scales[j]. */
  readonly scales: Float64Array;
  /** undefined: leaving the value as it is was best. */
  readonly strength: number | undefined;
  /** Squared errors of the outputs, after and before. */
  readonly error: number;
  readonly errorBefore: number;
}

export interface StrengthRules {
  /** The values of `a` to try. */
  readonly strengths: readonly number[];
  /** Largest factor between two channels. */
  readonly largest: number;
  /** As in the scheme that follows. */
  readonly perChannel: boolean;
  readonly reduceRange: boolean;
}

export async function searchStrength(
  rows: InputRows,
  weights: readonly LayerWeight[],
  rules: StrengthRules,
  blas: MatMul,
): Promise<Strength> {
  const x: Matrix = { dims: [rows.count, rows.channels], data: rows.data };
  const expected: Matrix[] = [];
  for (const weight of weights) expected.push(await blas.multiply(x, weight));
  const errorOf = async (scales: Float64Array) => {
    const input = roundedInput(rows, scales);
    let error = 0;
    for (const [at, weight] of weights.entries()) {
      const { data } = await blas.multiply(input, roundedWeight(weight, scales, rules));
      const goal = expected[at]!.data;
      for (let i = 0; i < data.length; i++) error += (data[i]! - goal[i]!) ** 2;
    }
    return error;
  };
  const none = new Float64Array(rows.channels).fill(1);
  const errorBefore = await errorOf(none);
  let best: Strength = { scales: none, strength: undefined, error: errorBefore, errorBefore };
  for (const strength of rules.strengths) {
    const scales = smoothingScales(rows, weights, strength, rules.largest);
    const error = await errorOf(scales);
    if (error < best.error) best = { scales, strength, error, errorBefore };
  }
  return best;
}

/** With a geometric mean of 1; channels that are silent on either side stay. */
export function smoothingScales(
  { min, max, channels }: InputRows,
  weights: readonly LayerWeight[],
  strength: number,
  largest: number,
): Float64Array {
  const weightPeaks = new Float64Array(channels);
  for (const { dims, data } of weights) {
    for (let i = 0; i < data.length; i++) {
      const channel = Math.floor(i / dims[1]);
      weightPeaks[channel] = Math.max(weightPeaks[channel]!, Math.abs(data[i]!));
    }
  }
  const logs = weightPeaks.map((w, j) => {
    const x = Math.max(-min[j]!, max[j]!);
    return x > 0 && w > 0 ? strength * Math.log(x) - (1 - strength) * Math.log(w) : Number.NaN;
  });
  const live = logs.filter((log) => !Number.isNaN(log));
  const mean = live.reduce((sum, log) => sum + log, 0) / Math.max(1, live.length);
  const most = Math.log(largest) / 2;
  return logs.map((log) =>
    Number.isNaN(log) ? 1 : Math.exp(Math.max(-most, Math.min(most, log - mean))),
  );
}

/** x / s as uint8 over the range of all samples. */
function roundedInput(
  { channels, count, data, min, max }: InputRows,
  scales: Float64Array,
): Matrix {
  let low = 0;
  let high = 0;
  for (let j = 0; j < channels; j++) {
    low = Math.min(low, min[j]! / scales[j]!);
    high = Math.max(high, max[j]! / scales[j]!);
  }
  const scaled = data.map((value, i) => value / scales[i % channels]!);
  const { scale, zeroPoint } = parametersOf({ min: low, max: high }, 'uint8', false);
  const codes = quantizeLinear(scaled, scale, zeroPoint, 'uint8');
  return { dims: [count, channels], data: dequantizeLinear(codes, scale, zeroPoint) };
}

/** s w as the integers of weights. */
function roundedWeight(
  { dims, data }: LayerWeight,
  scales: Float64Array,
  { perChannel, reduceRange }: StrengthRules,
): Matrix {
  const scaled = data.map((value, i) => value * scales[Math.floor(i / dims[1])]!);
  const layout = { dims, axis: perChannel ? 1 : undefined };
  const codes = quantizeWeight(scaled, layout, { dataType: 'int8', reduceRange });
  return { dims, data: dequantizeWeight(codes, layout) };
}

/**
 * Weights whose integers do not have zero in the middle: worth it where all weights of a tensor
 * lie on one side. One zero point only, since the integer kernels take no more
 * (onnxruntime 1.30: "zero point of per-channel filter must be same").
 */
import { PareError } from '../../errors.js';
import { quantizeLinear, roundHalfEven } from '../kernels.js';

/** The least scale that holds all weights and zero; 1 for weights that are all zero. */
export function affineScale(weights: Float32Array, limit: number): number {
  const { min, max } = extremesOf(weights);
  const scale = Math.fround((max - min) / (2 * limit + 1));
  return scale > 2 ** -126 ? scale : 1;
}

/** Codes in -limit - 1 to limit, and their zero point. */
export function affineCodes(
  weights: Float32Array,
  scale: number,
  limit: number,
): { readonly values: Int8Array; readonly zeroPoint: number } {
  const low = -limit - 1;
  const { min } = extremesOf(weights);
  const zeroPoint = Math.max(low, Math.min(limit, roundHalfEven(low - min / scale)));
  const values = quantizeLinear(weights, scale, zeroPoint, 'int8', { low, high: limit });
  return { values: values as Int8Array, zeroPoint };
}

export function refuseChannels(tensor: string): never {
  throw new PareError(
    'usage',
    `overrides: "${tensor}" cannot have a scale per channel and symmetric: false, integer kernels take one zero point`,
    { tensor, hint: 'add perChannel: false, or leave out symmetric' },
  );
}

function extremesOf(weights: Float32Array): { min: number; max: number } {
  let [min, max] = [0, 0];
  for (const weight of weights) {
    if (weight < min) min = weight;
    else if (weight > max) max = weight;
  }
  return { min, max };
}

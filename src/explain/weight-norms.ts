/**
 * L2 norm of the weights of each unit: the rows that make it, and for heads everything that leaves
 * with one.
 */
import type { UnitScores } from './gradient-scores.js';
import type { Layer } from './layers.js';

export async function weightNorms(layers: readonly Layer[]): Promise<UnitScores> {
  const scores = new Map<Layer, Float64Array>();
  for (const layer of layers) {
    if (layer.weights.length === 0) continue;
    const sums = new Float64Array(layer.units);
    for (const { value, axis, unitOf } of layer.weights) {
      const tensor = value.constant!;
      const numbers = await tensor.floats();
      const inner = tensor.dims.slice(axis + 1).reduce((size, dim) => size * dim, 1);
      const length = unitOf.length;
      for (let at = 0; at < numbers.length; at++) {
        const unit = unitOf[Math.floor(at / inner) % length]!;
        if (unit >= 0) sums[unit]! += numbers[at]! ** 2;
      }
    }
    scores.set(layer, sums.map(Math.sqrt));
  }
  return scores;
}

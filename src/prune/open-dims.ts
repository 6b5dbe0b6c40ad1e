/**
 * Sizes for the dims that a model leaves open, for one concrete look at it: small ones, and another
 * one for axes that are no batch, so that they are not taken for axes of size 1.
 */
import type { Model } from '../graph/model.js';

const openDim = 8;

/** All dims of every input that has open ones, by the name of the input. */
export function chooseDims(
  model: Model,
  given: Readonly<Record<string, number | readonly number[]>> = {},
): Record<string, number | readonly number[]> {
  const sizes = new Map<string, number>();
  const chosen: Record<string, number | readonly number[]> = { ...given };
  for (const input of model.graph.inputs) {
    if (input.initializer || typeof given[input.name] === 'object') continue;
    if (!input.dims?.some((dim) => typeof dim !== 'number')) continue;
    chosen[input.name] = input.dims.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      const usual = axis === 0 ? 1 : openDim;
      if (dim === undefined) return usual;
      const own = given[dim];
      const size = typeof own === 'number' ? own : (sizes.get(dim) ?? usual);
      sizes.set(dim, size);
      return size;
    });
  }
  return chosen;
}

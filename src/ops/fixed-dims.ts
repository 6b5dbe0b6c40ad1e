/** Dims of values that are known as numbers. */
import type { Value } from '../graph/value.js';

/** Undefined where one is open. */
export function fixedDims({ dims }: Value): number[] | undefined {
  return dims?.every((dim) => typeof dim === 'number') ? (dims as number[]) : undefined;
}

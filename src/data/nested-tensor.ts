/**
 * Nested arrays of numbers, as JSON and users' modules hold them, to tensors.
 */
import type { HostTensor } from '../engine/engine.js';

/**
 * int64 when every number is whole, else float. Undefined when it is no number, not of one
 * shape, or empty.
 *
 * @example nestedTensor([[1, 2], [3, 4]]) // int64 [2,2]
 */
export function nestedTensor(value: unknown): HostTensor | undefined {
  const dims: number[] = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0]) dims.push(inner.length);
  const flat: number[] = [];
  if (!flatten(value, dims, 0, flat) || flat.length === 0) return undefined;
  return flat.every((x) => Number.isSafeInteger(x))
    ? { dataType: 'int64', dims, data: BigInt64Array.from(flat, BigInt) }
    : { dataType: 'float', dims, data: Float32Array.from(flat) };
}

function flatten(value: unknown, dims: readonly number[], axis: number, out: number[]): boolean {
  if (axis === dims.length) {
    if (typeof value !== 'number' && typeof value !== 'boolean') return false;
    out.push(Number(value));
    return true;
  }
  if (!Array.isArray(value) || value.length !== dims[axis]) return false;
  return value.every((item) => flatten(item, dims, axis + 1, out));
}

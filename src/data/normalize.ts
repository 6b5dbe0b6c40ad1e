/**
 * The arithmetic of preprocessing on one array: (x * scale - mean) / std, reversal of channels,
 * moving the channel axis. Pure functions; shapes are checked by the caller.
 */
import { elementCount, type TypedArray } from '../onnx/data-type.js';
import type { NumberArray } from './convert.js';

export interface Affine {
  readonly scale: number;
  /** One entry, or one per channel. */
  readonly mean: readonly number[];
  /** One entry, or one per channel. */
  readonly std: readonly number[];
}

/**
 * (x * scale - mean) / std in double precision, rounded once to float32. `channelAxis` counts
 * when mean or std have several entries.
 */
export function normalize(
  values: NumberArray,
  dims: readonly number[],
  channelAxis: number,
  { scale, mean, std }: Affine,
): Float32Array {
  const out = new Float32Array(values.length);
  const channels = Math.max(mean.length, std.length);
  const inner = channels === 1 ? values.length : elementCount(dims.slice(channelAxis + 1));
  const at = (list: readonly number[], c: number) => list[list.length === 1 ? 0 : c]!;
  const apply = (x: number, c: number) => (x * scale - at(mean, c)) / at(std, c);
  if (values instanceof Uint8Array) {
    // 256 results per channel: a table is several times faster than the division.
    const tables = Array.from({ length: channels }, (_, c) =>
      Float32Array.from({ length: 256 }, (_, x) => apply(x, c)),
    );
    for (let i = 0; i < values.length; i++) {
      out[i] = tables[Math.floor(i / inner) % channels]![values[i]!]!;
    }
    return out;
  }
  for (let i = 0; i < values.length; i++) {
    out[i] = apply(values[i]!, Math.floor(i / inner) % channels);
  }
  return out;
}

/** The same array with the order along one axis turned round: RGB to BGR. */
export function reverseAxis<T extends TypedArray>(
  data: T,
  dims: readonly number[],
  axis: number,
): T {
  const out = data.slice() as T;
  const size = dims[axis]!;
  const inner = elementCount(dims.slice(axis + 1));
  for (let i = 0; i < data.length; i++) {
    const c = Math.floor(i / inner) % size;
    out[i + (size - 1 - 2 * c) * inner] = data[i]!;
  }
  return out;
}

/** [a, b] to [b, a], each entry a run of one: HWC to CHW with a = H*W, b = C, and back. */
export function transpose<T extends TypedArray>(data: T, a: number, b: number): T {
  const out = data.slice() as T;
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) out[j * a + i] = data[i * b + j]!;
  }
  return out;
}

/**
 * The grids that numbers of a quantized model are rounded to, as a reader wants to see them: the
 * step, and the ends of what the integers stand for.
 */
import type { IntegerGrid } from '../ops/integer-grids.js';
import { codesOf } from '../ops/integer-grids.js';
import { median } from './statistics.js';

/** Plain JSON. */
export interface ValueGrid {
  readonly type: string;
  /** Distance of two neighbours, the median over all scales; and the least and the largest. */
  readonly step: number;
  readonly stepRange: readonly [low: number, high: number];
  /** Ends of the range, the widest over all scales. */
  readonly low: number;
  readonly high: number;
  readonly scales: number;
}

/** Undefined for types that are no integers. */
export async function valueGrid(grid: IntegerGrid): Promise<ValueGrid | undefined> {
  const codes = codesOf(grid.dataType);
  if (!codes) return undefined;
  const scales = await grid.scale.floats();
  const zeros = await grid.zeroPoint?.floats();
  let [low, high, least, largest] = [0, 0, Number.POSITIVE_INFINITY, 0];
  for (const [at, scale] of scales.entries()) {
    const zero = zeros?.[zeros.length === 1 ? 0 : at] ?? 0;
    low = Math.min(low, (codes[0] - zero) * scale);
    high = Math.max(high, (codes[1] - zero) * scale);
    least = Math.min(least, scale);
    largest = Math.max(largest, scale);
  }
  return {
    type: grid.dataType,
    step: median(scales),
    stepRange: [least, largest],
    low,
    high,
    scales: scales.length,
  };
}

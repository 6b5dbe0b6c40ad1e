/**
 * What calibration knows of a value: extremes over all samples, their mean over samples, and a
 * histogram between the extremes. Sums of counts only, so the result does not depend on the order
 * or the chunking of the samples, and memory does not grow with their number.
 */

export interface Histogram {
  /** Lower edge of the first bin and upper edge of the last: the extremes of the value. */
  readonly low: number;
  readonly high: number;
  /** Elements per bin, all samples together. */
  readonly counts: Float64Array;
  /** How many of the elements are exactly zero: what ReLU and padding leave. Part of the counts. */
  readonly zeros: number;
}

export interface ValueStatistics {
  readonly min: number;
  readonly max: number;
  /** Arithmetic means of the samples' own extremes; a sample is an index of the batch axis. */
  readonly meanMin: number;
  readonly meanMax: number;
  readonly samples: number;
  /** Elements, all samples together. */
  readonly elements: number;
  /** Undefined when only extremes were collected. */
  readonly histogram: Histogram | undefined;
}

/** Bins of a histogram: sixteen per step of 8 bits, so that errors inside a step can be told. */
export const histogramBins = 4096;

/**
 * Adds values to counts. Values outside [low, high], which rounding may cause, go to the end bins.
 *
 * @returns how many of the values are zero
 */
export function addToHistogram(
  counts: Float64Array | Uint32Array,
  values: Float32Array,
  low: number,
  high: number,
): number {
  const last = counts.length - 1;
  const perUnit = high > low ? counts.length / (high - low) : 0;
  let zeros = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value === 0) zeros++;
    let bin = ((value - low) * perUnit) | 0;
    if (bin > last) bin = last;
    else if (bin < 0) bin = 0;
    counts[bin]!++;
  }
  return zeros;
}

/**
 * Counts as they are stored: float32. What is calibrated at once and what is read from a table is
 * the same to the last bit.
 */
export function storedCounts(counts: Float64Array): Float64Array {
  return counts.map(Math.fround);
}

/** The middle of a bin. */
export function binCenter({ low, high, counts }: Histogram, bin: number): number {
  return low + ((bin + 0.5) * (high - low)) / counts.length;
}

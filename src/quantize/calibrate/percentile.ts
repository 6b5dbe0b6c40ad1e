/**
 * Cuts the same small share of the elements off both ends. Default 99.999 % inside. An end without
 * a tail (the zeros behind a ReLU) stays as it is.
 */
import type { Calibrator } from './calibrators.js';

export const percentile = {
  name: 'percentile',
  summary: 'a share of all elements, 99.999 % by default',
  histogram: true,
  range({ min, max, histogram, elements }, options) {
    if (!histogram || max <= min) return { min, max };
    const { low, high, counts } = histogram;
    const outside = (elements * (1 - (options.percentile ?? 99.999) / 100)) / 2;
    const width = (high - low) / counts.length;
    let first = 0;
    for (let sum = counts[0]!; sum <= outside && first < counts.length - 1; )
      sum += counts[++first]!;
    let last = counts.length - 1;
    for (let sum = counts[last]!; sum <= outside && last > first; ) sum += counts[--last]!;
    return {
      min: first === 0 ? min : low + first * width,
      max: last === counts.length - 1 ? max : low + (last + 1) * width,
    };
  },
} as const satisfies Calibrator;

/**
 * The mean of the samples' extremes: what a moving average tends to, without its dependence on
 * the order of the samples. A sample is an index of the batch axis, so batches do not matter either.
 */
import type { Calibrator } from './calibrators.js';

export const meanRange = {
  name: 'moving-average',
  summary: 'the mean of the extremes of each sample',
  histogram: false,
  range: ({ meanMin, meanMax }) => ({ min: meanMin, max: meanMax }),
} as const satisfies Calibrator;

/**
 * The mean of the samples' extremes: what a moving average tends to, without its dependence on
 * the order of the samples.
 */
import type { Calibrator } from './calibrators.js';

export const meanRange = {
  name: 'moving-average',
  summary: 'the mean of the extremes of each sample',
  histogram: false,
  range: ({ meanMin, meanMax }) => ({ min: meanMin, max: meanMax }),
} as const satisfies Calibrator;

/**
 * Everything that was seen is representable: nothing is clipped, and one outlier can make the
 * steps coarse for all the rest.
 */
import type { Calibrator } from './calibrators.js';

export const minMax = {
  name: 'min-max',
  summary: 'the extremes over all samples',
  histogram: false,
  range: ({ min, max }) => ({ min, max }),
} as const satisfies Calibrator;

/**
 * The calibrators by name. A calibrator is a pure function of a value's statistics and the number
 * of levels; a new one is one file and one line here.
 */
import { entropy } from './entropy.js';
import { meanRange } from './mean-range.js';
import { minMax } from './min-max.js';
import { mse } from './mse.js';
import { percentile } from './percentile.js';
import type { ValueStatistics } from './statistics.js';

/** The part of a value's range that the integers will cover; the rest is clipped. */
export interface CalibratedRange {
  readonly min: number;
  readonly max: number;
}

export interface CalibratorOptions {
  /** Integers available, 256 for 8 bits. */
  readonly levels: number;
  /** The range will be made symmetric around zero. */
  readonly symmetric: boolean;
  /** percentile: share of the elements inside, in percent. */
  readonly percentile?: number | undefined;
}

export interface Calibrator {
  readonly name: string;
  /** For help and documentation. */
  readonly summary: string;
  /** Whether it looks at the histogram. */
  readonly histogram: boolean;
  range(statistics: ValueStatistics, options: CalibratorOptions): CalibratedRange;
}

export const calibrators = Object.freeze([minMax, meanRange, percentile, entropy, mse] as const);

export type CalibratorName = (typeof calibrators)[number]['name'];

export const calibratorNames = calibrators.map(({ name }) => name) as [
  CalibratorName,
  ...CalibratorName[],
];

export function calibratorNamed(name: CalibratorName): Calibrator {
  return calibrators.find((calibrator) => calibrator.name === name)!;
}

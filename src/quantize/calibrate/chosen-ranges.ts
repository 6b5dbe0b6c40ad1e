/**
 * What a calibrator makes of a table: the range of every value, its scale and zero point, and the
 * share of the elements that it clips. For people who look at a table; quantization itself also
 * knows which values share a scale.
 */
import { dataTypes } from '../../onnx/data-type.js';
import { type ActivationType, parametersOf, representedRange } from '../static/parameters.js';
import {
  type CalibratedRange,
  type CalibratorName,
  calibratorNamed,
  calibratorNames,
} from './calibrators.js';
import type { Histogram } from './statistics.js';
import type { CalibrationTable } from './table.js';

export interface RangeChoice {
  /** Default: the one that the table was made with. */
  readonly calibrator?: CalibratorName | undefined;
  readonly percentile?: number | undefined;
  readonly activations: ActivationType;
  readonly symmetric: boolean;
}

export interface ChosenRange {
  readonly name: string;
  readonly dims: readonly (number | string | null)[] | null;
  readonly min: number;
  readonly max: number;
  readonly pinned: boolean;
  /** What the integers will cover. */
  readonly range: CalibratedRange;
  readonly scale: number;
  readonly zeroPoint: number;
  /** Of the elements, 0 to 1; as exact as a bin of the histogram. Null without one. */
  readonly clipped: number | null;
}

/** In the order of the table. */
export function chosenRanges(table: CalibrationTable, choice: RangeChoice): ChosenRange[] {
  const { activations, symmetric, percentile } = choice;
  const calibrator = calibratorNamed(choice.calibrator ?? calibratorOf(table));
  const levels = 2 ** dataTypes[activations].bits;
  return [...table.values].map(([name, seen]) => {
    const pinned = table.pinned.get(name);
    const range = pinned ?? calibrator.range(seen, { levels, symmetric, percentile });
    const parameters = parametersOf(range, activations, symmetric);
    const { scale, zeroPoint } = parameters;
    const { min, max, dims = null, histogram } = seen;
    const covered = representedRange(parameters);
    const clipped = histogram ? shareOutside(histogram, covered, scale) : null;
    return { name, dims, min, max, pinned: pinned !== undefined, range, scale, zeroPoint, clipped };
  });
}

/** A table of another version may name a calibrator that this one does not have. */
function calibratorOf({ calibrator }: CalibrationTable): CalibratorName {
  return calibratorNames.find((name) => name === calibrator) ?? 'percentile';
}

/** Elements that rounding cannot reach: more than half a step beyond the ends. */
function shareOutside(
  { low, high, counts }: Histogram,
  { min, max }: CalibratedRange,
  scale: number,
): number {
  const width = (high - low) / counts.length;
  let outside = 0;
  let total = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin]!;
    const center = low + (bin + 0.5) * width;
    total += count;
    if (center < min - scale / 2 || center > max + scale / 2) outside += count;
  }
  return total > 0 ? outside / total : 0;
}

/**
 * Seeded, disjoint parts of a dataset: what calibrates or trains is never what is measured on.
 */
import { PareError } from '../errors.js';
import { permutation } from '../random.js';
import type { DatasetParts, Split } from './dataset.js';

export interface SplitOptions {
  /** Samples for calibration. Default a quarter of the data, at most 128. */
  readonly calibrate?: number | undefined;
  /** Samples for training. Default 0; Infinity takes what the others leave. */
  readonly train?: number | undefined;
  /**
   * Samples to measure on. Default all that is left; a fifth of that when `train` is Infinity.
   */
  readonly evaluate?: number | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
}

/**
 * Draws the three parts at random, each in ascending order. Where the data has parts of its
 * own, calibration and training come from the train part and evaluation from the test part.
 * Throws `usage` when more samples are asked for than there are.
 *
 * @example
 * const { calibrate, evaluate } = splitDataset(dataset, { calibrate: 100, seed: 1 });
 */
export function splitDataset(
  dataset: { readonly size: number; readonly parts?: DatasetParts | undefined },
  options: SplitOptions = {},
): Split {
  const { size, parts } = dataset;
  for (const [name, count] of Object.entries(options)) checkCount(name, count);
  const { seed = 0, train = 0 } = options;
  if (parts) {
    const learn = draw(parts.train.start, parts.train.end, seed);
    const measure = draw(parts.test.start, parts.test.end, seed);
    const calibrate = options.calibrate ?? defaultCalibrate(learn.length);
    return {
      calibrate: learn.take(calibrate, 'calibrate'),
      train: learn.take(train, 'train'),
      evaluate: measure.take(options.evaluate ?? Number.POSITIVE_INFINITY, 'evaluate'),
    };
  }
  const all = draw(0, size, seed);
  const calibrate = all.take(options.calibrate ?? defaultCalibrate(size), 'calibrate');
  const rest = size - calibrate.length;
  const ifOpen =
    train === Number.POSITIVE_INFINITY ? Math.ceil(rest / 5) : rest - Math.min(train, rest);
  const evaluate = all.take(options.evaluate ?? ifOpen, 'evaluate');
  return { calibrate, train: all.take(train, 'train'), evaluate };
}

/** One sample alone is for measuring. */
const defaultCalibrate = (size: number) =>
  size < 2 ? 0 : Math.min(128, Math.max(1, Math.floor(size / 4)));

function checkCount(name: string, count: number | undefined): void {
  const isCount =
    count === undefined || count === Number.POSITIVE_INFINITY || Number.isInteger(count);
  if (!isCount || (count !== undefined && count < 0 && name !== 'seed')) {
    throw new PareError('usage', `data: "${name}" of a split is ${count}, not a number of samples`);
  }
}

/** A shuffled pile of the indices [start, end). */
function draw(start: number, end: number, seed: number) {
  const order = permutation(end - start, seed);
  let taken = 0;
  return {
    length: order.length,
    take(count: number, what: string): Uint32Array {
      const left = order.length - taken;
      if (count > left && count !== Number.POSITIVE_INFINITY) {
        throw new PareError(
          'usage',
          `data: ${count} samples to ${what} were asked for, ${left} of ${order.length} are left`,
        );
      }
      const part = order.slice(taken, taken + Math.min(count, left));
      taken += part.length;
      return part.map((index) => index + start).sort();
    },
  };
}

/**
 * Small pictures of numbers in one line of text: a sparkline and a horizontal bar.
 */

const levels = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const asciiLevels = ['_', '.', ':', '-', '=', '+', '*', '#'] as const;
/** Eighths of a cell, filled from the left. */
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

export interface SparklineOptions {
  /** Value of the lowest level. Default the smallest value. */
  readonly min?: number | undefined;
  /** Value of the highest level. Default the largest value. */
  readonly max?: number | undefined;
  /** Default true; false draws with ASCII characters. */
  readonly unicode?: boolean | undefined;
}

/**
 * One character per value; a space stands for NaN. Equal values draw at the lowest level.
 * @example sparkline([1, 2, 3, 8]) // '▁▂▃█'
 */
export function sparkline(values: readonly number[], options: SparklineOptions = {}): string {
  const finite = values.filter(Number.isFinite);
  const min = options.min ?? finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const max = options.max ?? finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const characters = options.unicode === false ? asciiLevels : levels;
  return values
    .map((value) => {
      if (Number.isNaN(value)) return ' ';
      const share = max > min ? (value - min) / (max - min) : 0;
      return characters[Math.round(clamp(share) * 7)];
    })
    .join('');
}

export interface BarOptions {
  /** Default true; false draws with '#'. */
  readonly unicode?: boolean | undefined;
  /** What fills the rest, so that the full length shows. Default a space. */
  readonly rest?: string | undefined;
}

/**
 * A bar of `width` columns of which `share` (0 to 1) is filled, to an eighth of a column.
 * @example bar(0.5, 4) // '██  '
 */
export function bar(share: number, width: number, options: BarOptions = {}): string {
  const { unicode = true, rest = ' ' } = options;
  const filled = (Number.isNaN(share) ? 0 : clamp(share)) * width;
  if (!unicode) {
    const cells = Math.round(filled);
    return '#'.repeat(cells) + rest.repeat(width - cells);
  }
  const steps = Math.round(filled * 8);
  const full = Math.floor(steps / 8);
  const part = eighths[steps % 8]!;
  return '█'.repeat(full) + part + rest.repeat(width - full - part.length);
}

const clamp = (share: number) => Math.min(1, Math.max(0, share));

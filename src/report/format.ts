/**
 * Numbers as people read them, always with their unit. Every function is total: NaN reads 'n/a'.
 * Measurements show three significant digits; more would be noise in nearly all of them.
 */

const notANumber = 'n/a';

/**
 * A size in decimal units: below 1000 B exact, then kB, MB, GB, TB of 1000 each, the unit chosen
 * after rounding (999,499 is '999 kB', 999,500 is '1.00 MB').
 * @example formatBytes(3_412_000) // '3.41 MB'
 */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return special(bytes, ' B');
  if (Math.abs(bytes) < 999.5) return `${Math.round(bytes)} B`;
  const [value, unit] = scale(bytes, ['kB', 'MB', 'GB', 'TB']);
  return `${threeDigits(value)} ${unit}`;
}

/**
 * A count: below 10,000 exact, then k, M, G, T of 1000 each, three digits without trailing zeros.
 * @example formatCount(1_200_000) // '1.2 M'
 * @example formatCount(9876) // '9,876'
 */
export function formatCount(count: number): string {
  if (!Number.isFinite(count)) return special(count, '');
  if (Math.abs(count) < 10_000) return formatInteger(count);
  const [value, unit] = scale(count, ['k', 'M', 'G', 'T']);
  return `${Number(threeDigits(value))} ${unit}`;
}

/** Every digit, in groups of three. @example formatInteger(1234567) // '1,234,567' */
export function formatInteger(count: number): string {
  if (!Number.isFinite(count)) return special(count, '');
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A latency. @example formatMs(0.1234) // '0.123 ms' @example formatMs(12_345) // '12.3 s' */
export function formatMs(ms: number): string {
  if (!Number.isFinite(ms)) return special(ms, ' ms');
  if (Math.abs(ms) < 0.9995) return `${ms.toFixed(3)} ms`;
  return Math.abs(ms) < 999.5 ? `${threeDigits(ms)} ms` : `${threeDigits(ms / 1000)} s`;
}

/** A waiting time as a clock shows it. @example formatClock(3_725_000) // '1:02:05' */
export function formatClock(ms: number): string {
  if (!Number.isFinite(ms)) return notANumber;
  const seconds = Math.round(Math.max(0, ms) / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** How many times as large or fast. @example formatRatio(2.314) // '2.31x' */
export function formatRatio(ratio: number): string {
  if (!Number.isFinite(ratio)) return special(ratio, 'x');
  return `${threeDigits(ratio)}x`;
}

/** A share between 0 and 1. @example formatPercent(0.98442) // '98.44 %' */
export function formatPercent(share: number, digits = 2): string {
  if (!Number.isFinite(share)) return special(share, ' %');
  return `${noMinusZero((share * 100).toFixed(digits))} %`;
}

/** A difference of two percentages. @example formatPoints(0.5) // '0.50 points' */
export function formatPoints(points: number, digits = 2): string {
  if (!Number.isFinite(points)) return special(points, ' points');
  return `${noMinusZero(points.toFixed(digits))} points`;
}

/** A signal-to-noise ratio; infinite when there is no noise at all. @example formatDb(34.21) // '34.2 dB' */
export function formatDb(db: number): string {
  if (!Number.isFinite(db)) return special(db, ' dB');
  return `${noMinusZero(db.toFixed(1))} dB`;
}

/**
 * A difference with its sign, in the given format; a value that the format rounds to zero has none.
 * @example formatSigned(3_412_000, formatBytes) // '+3.41 MB'
 */
export function formatSigned(value: number, format: (value: number) => string): string {
  const text = format(Math.abs(value));
  if (Number.isNaN(value) || (Number.isFinite(value) && !/[1-9]/.test(text))) return text;
  return `${value < 0 ? '-' : '+'}${text}`;
}

/** Two digits after the point below 10, one below 100, none above; the limits after rounding. */
function threeDigits(value: number): string {
  const size = Math.abs(value);
  return noMinusZero(value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0));
}

function scale(value: number, units: readonly string[]): [number, string] {
  let scaled = value / 1000;
  let index = 0;
  while (Math.abs(scaled) >= 999.5 && index < units.length - 1) {
    scaled /= 1000;
    index++;
  }
  return [scaled, units[index]!];
}

function special(value: number, unit: string): string {
  if (Number.isNaN(value)) return notANumber;
  return `${value < 0 ? '-' : ''}inf${unit}`;
}

function noMinusZero(text: string): string {
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}

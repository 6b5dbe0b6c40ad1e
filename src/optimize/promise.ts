/**
 * The promise on quality that the user asks for, and whether a measurement keeps it.
 */
import { PareError } from '../errors.js';

/** The limits that are set must all be kept. */
export interface QualityPromise {
  /** Points of top-1 accuracy (next-token accuracy for token models); needs labels. */
  readonly maxDrop?: number | undefined;
  /** Percent of samples (tokens) whose prediction may differ from the original's. */
  readonly maxFlips?: number | undefined;
  /** Decibels of signal to noise of the outputs against the original's. */
  readonly minSnr?: number | undefined;
}

/** What is measured of a candidate against the original. Undefined: not defined for this model. */
export interface Quality {
  /** Points lost; negative when the candidate is better. */
  readonly drop?: number | undefined;
  /** Percent. */
  readonly flips?: number | undefined;
  /** dB, of the output that agrees least; Infinity for equal outputs. */
  readonly snr?: number | undefined;
}

/**
 * When the user names no limit: with labels 0.5 points of accuracy, without labels 1 % of
 * predictions, and 30 dB where the model predicts no classes.
 */
export function defaultPromise(known: Measurable): QualityPromise {
  if (!known.classes) return { minSnr: 30 };
  return known.labels ? { maxDrop: 0.5 } : { maxFlips: 1 };
}

/** What can be measured of a model on the data, known before anything is. */
export interface Measurable {
  /** Some samples have a label, or the data are tokens, whose next one is the label. */
  readonly labels: boolean;
  /** The model predicts classes or tokens. */
  readonly classes: boolean;
}

/** Throws `usage` for a limit that cannot be measured, before hours of work find it out. */
export function checkPromise({ maxDrop, maxFlips }: QualityPromise, known: Measurable): void {
  if (!known.classes && maxDrop !== undefined) throw noClasses('max-drop');
  if (!known.classes && maxFlips !== undefined) throw noClasses('max-flips');
  if (!known.labels && maxDrop !== undefined) throw noLabels();
}

/**
 * A sentence when one sample more or less decides about the promise; undefined when there are
 * enough. @param count samples or tokens that are evaluated
 */
export function coarseness(
  { maxDrop, maxFlips }: QualityPromise,
  count: number,
): string | undefined {
  const limit = Math.min(maxDrop ?? Number.POSITIVE_INFINITY, maxFlips ?? Number.POSITIVE_INFINITY);
  const step = 100 / count;
  if (!(step > limit) || limit === 0) return undefined;
  const samples = count === 1 ? 'the only sample is' : `one of ${count} samples is`;
  return `${samples} ${step.toPrecision(2)} points, more than the ${limit} allowed: more samples would tell a loss from chance`;
}

/**
 * The promise with one sample more to lose, for a search on few samples: where one of 64 is 1.6
 * points, a limit of 0.5 would ask for none at all.
 * @param count samples or tokens that the search looks at
 */
export function loosen(promise: QualityPromise, count: number): QualityPromise {
  const { maxDrop, maxFlips, minSnr } = promise;
  const step = 100 / count;
  return {
    maxDrop: maxDrop === undefined ? undefined : maxDrop + step,
    maxFlips: maxFlips === undefined ? undefined : maxFlips + step,
    minSnr,
  };
}

/** @example promiseText({ maxDrop: 0.5 }) // 'at most 0.5 points lost' */
export function promiseText({ maxDrop, maxFlips, minSnr }: QualityPromise): string {
  const parts: string[] = [];
  if (maxDrop !== undefined) parts.push(`at most ${maxDrop} points lost`);
  if (maxFlips !== undefined) parts.push(`at most ${maxFlips} % of predictions changed`);
  if (minSnr !== undefined) parts.push(`SNR of at least ${minSnr} dB`);
  return parts.join(', ');
}

/** The limits that a measurement breaks, in words; empty when it keeps the promise. */
export function brokenLimits(promise: QualityPromise, quality: Quality): string[] {
  const broken: string[] = [];
  const { maxDrop, maxFlips, minSnr } = promise;
  const { drop, flips, snr } = quality;
  if (maxDrop !== undefined) {
    if (drop === undefined) throw noLabels();
    if (!(drop <= maxDrop)) broken.push(`drops ${drop.toFixed(2)} points, ${maxDrop} allowed`);
  }
  if (maxFlips !== undefined) {
    if (flips === undefined) throw noClasses('max-flips');
    if (!(flips <= maxFlips)) broken.push(`flips ${flips.toFixed(2)} %, ${maxFlips} % allowed`);
  }
  if (minSnr !== undefined) {
    if (snr === undefined) throw unmeasurable('min-snr', 'the model has no output to compare');
    if (!(snr >= minSnr)) broken.push(snrText(snr, minSnr));
  }
  return broken;
}

function snrText(snr: number, minSnr: number): string {
  return snr === Number.NEGATIVE_INFINITY
    ? `outputs have no SNR (NaN, infinite or whole numbers that differ), ${minSnr} dB required`
    : `SNR is ${snr.toFixed(1)} dB, ${minSnr} dB required`;
}

function noLabels(): PareError {
  return unmeasurable(
    'max-drop',
    'the data has no labels: use --max-flips, agreement with the original model',
  );
}

function noClasses(limit: string): PareError {
  return unmeasurable(limit, 'the model predicts no classes: use --min-snr');
}

function unmeasurable(limit: string, hint: string): PareError {
  return new PareError('usage', `optimize: --${limit} cannot be measured on this model and data`, {
    hint,
  });
}

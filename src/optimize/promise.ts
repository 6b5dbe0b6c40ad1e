/**
 * The promise on quality that the user asks for, and whether a measurement keeps it.
 */
import { PareError } from '../errors.js';

/** At most one unit of loss in each limit that is set. */
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
  /** dB; Infinity for equal outputs. */
  readonly snr?: number | undefined;
}

/**
 * When the user names no limit: with labels 0.5 points of accuracy, without labels 1 % of
 * predictions, and 30 dB where the model predicts no classes.
 */
export function defaultPromise(known: { labels: boolean; classes: boolean }): QualityPromise {
  if (!known.classes) return { minSnr: 30 };
  return known.labels ? { maxDrop: 0.5 } : { maxFlips: 1 };
}

/** The limits that a measurement breaks, in words; empty when it keeps the promise. */
export function brokenLimits(promise: QualityPromise, quality: Quality): string[] {
  const broken: string[] = [];
  const { maxDrop, maxFlips, minSnr } = promise;
  if (maxDrop !== undefined && !(required(quality.drop, 'max-drop') <= maxDrop)) {
    broken.push(`drops ${quality.drop!.toFixed(2)} points, ${maxDrop} allowed`);
  }
  if (maxFlips !== undefined && !(required(quality.flips, 'max-flips') <= maxFlips)) {
    broken.push(`flips ${quality.flips!.toFixed(2)} %, ${maxFlips} % allowed`);
  }
  if (minSnr !== undefined && !(required(quality.snr, 'min-snr') >= minSnr)) {
    broken.push(`SNR is ${quality.snr!.toFixed(1)} dB, ${minSnr} dB required`);
  }
  return broken;
}

function required(value: number | undefined, limit: string): number {
  if (value !== undefined) return value;
  throw new PareError('usage', `optimize: --${limit} cannot be measured on this model and data`, {
    hint:
      limit === 'max-drop'
        ? 'the data has no labels: use --max-flips, agreement with the original model'
        : 'the model predicts no classes: use --min-snr',
  });
}

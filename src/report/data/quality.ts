/** What the models predict: scores, confusion, and the samples whose prediction changed. */
import * as z from 'zod/mini';
import { agreement, count, interval, number, rate, text } from './common.js';

export const evaluationRow = z.object({
  model: text,
  task: z.enum(['classification', 'tokens', 'generic']),
  samples: count,
  top1: z.nullable(rate),
  top5: z.nullable(rate),
  nextToken: z.nullable(rate),
  perplexity: z.nullable(number),
  flips: z.nullable(rate),
  drop: z.nullable(
    z.object({ points: number, standardError: number, lost: count, gained: count, interval }),
  ),
  /** Of the output that agrees least. */
  agreement: z.nullable(agreement),
});

/** Most classes for which a whole matrix is kept. */
export const mostMatrixClasses = 24;

export const confusion = z.object({
  /** Names of the classes by index; their numbers where the data has no names. */
  classes: z.array(text),
  models: z.array(
    z.object({
      model: text,
      /** counts[label][prediction]; null for too many classes, see `pairs`. */
      counts: z.nullable(z.array(z.array(count))),
      /** The most frequent errors, largest first. */
      pairs: z.array(z.object({ label: count, predicted: count, count })),
    }),
  ),
});

/** A picture as a data URL, or a piece of text, or the curve of a signal. */
export const preview = z.union([
  z.object({ kind: z.literal('image'), url: text, width: count, height: count }),
  z.object({ kind: z.literal('curve'), points: z.array(number) }),
  /** Lowest and highest value of equal stretches of a signal, in [-1, 1]; values in all. */
  z.object({
    kind: z.literal('wave'),
    low: z.array(number),
    high: z.array(number),
    length: count,
  }),
  z.object({ kind: z.literal('text'), text }),
  z.object({ kind: z.literal('none') }),
]);

export const flip = z.object({
  id: text,
  /** Index of the class; null without a label. */
  label: z.nullable(count),
  before: count,
  after: count,
  /** Share of the softmax that the prediction had. */
  confidenceBefore: number,
  confidenceAfter: number,
  preview,
});

export const flips = z.object({
  classes: z.array(text),
  count,
  samples: count,
  /** The most confident first; not more than a page holds. */
  shown: z.array(flip),
});

export type EvaluationRow = z.output<typeof evaluationRow>;
export type Confusion = z.output<typeof confusion>;
export type Preview = z.output<typeof preview>;
export type Flip = z.output<typeof flip>;
export type Flips = z.output<typeof flips>;

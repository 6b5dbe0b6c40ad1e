/** What went in, what came out, the numbers that count, and whether the promise was kept. */
import * as z from 'zod/mini';
import { count, interval, number, text } from './common.js';

export const modelFacts = z.object({
  /** How the report calls it: 'before', 'after', or the name of its file. */
  name: text,
  file: text,
  bytes: count,
  gzipBytes: z.nullable(count),
  brotliBytes: z.nullable(count),
  nodes: count,
  parameters: count,
  macs: z.nullable(number),
  sha256: z.nullable(text),
});

/** What a number is measured in, which decides how it is shown. */
export const units = ['bytes', 'ms', 'share', 'perplexity', 'dB'] as const;

/** A value with its uncertainty, and in words what kind of uncertainty that is. */
const measured = z.nullable(z.object({ value: number, interval, exact: z.boolean() }));

export const figure = z.object({
  name: z.enum(['size', 'latency', 'memory', 'quality']),
  /** 'median of 60 runs at one thread', 'top-1 on 2000 samples'. */
  measure: text,
  unit: z.enum(units),
  before: measured,
  after: measured,
  /** What the intervals of before and after are: '10th to 90th percentile', '95 % interval'. */
  spread: z.nullable(text),
  change: z.nullable(
    z.object({
      /** 'times' as small or fast, 'points' of accuracy, 'percent' more. */
      kind: z.enum(['times', 'points', 'percent']),
      value: number,
      interval,
      /** 'smaller', 'faster', 'lost', 'more'. */
      word: text,
    }),
  ),
  /** Why there is no number, or what to know of it. */
  note: z.nullable(text),
});

export const promise = z.object({
  /** 'at most 0.5 points lost'. */
  text,
  kept: z.boolean(),
  /** The limits that are broken, in words. */
  broken: z.array(text),
});

export const summary = z.object({
  /** One sentence in words. */
  outcome: text,
  figures: z.array(figure),
  promise: z.nullable(promise),
});

export type ModelFacts = z.output<typeof modelFacts>;
export type Figure = z.output<typeof figure>;
export type Unit = (typeof units)[number];
export type Summary = z.output<typeof summary>;

/** What was done, what else was tried, and what was left alone. */
import * as z from 'zod/mini';
import { agreement, count, interval, number, rate, text } from './common.js';

export const step = z.object({
  pass: text,
  options: z.record(text, z.unknown()),
  /** Nodes that it changed and left alone; null where that was not counted. */
  changed: z.nullable(count),
  left: z.nullable(count),
  notes: z.array(text),
});

export const candidate = z.object({
  name: text,
  why: text,
  verdict: z.enum(['original', 'chosen', 'kept', 'rejected']),
  reasons: z.array(text),
  bytes: z.nullable(count),
  medianMs: z.nullable(number),
  speedUp: z.nullable(number),
  speedUpInterval: interval,
  score: z.nullable(rate),
  dropPoints: z.nullable(number),
  flips: z.nullable(rate),
  agreement: z.nullable(agreement),
});

export const skipped = z.object({
  groups: z.array(
    z.object({ pass: text, op: text, reason: text, nodes: z.array(text), count: count }),
  ),
  /** What the report itself could not measure, and remarks of the command. */
  notes: z.array(text),
});

export type Step = z.output<typeof step>;
export type CandidateRow = z.output<typeof candidate>;
export type Skipped = z.output<typeof skipped>;

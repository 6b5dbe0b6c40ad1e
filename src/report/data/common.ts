/**
 * Pieces that several parts of a report's data share. Plain JSON: what was not measured, or does
 * not exist, is null.
 */
import * as z from 'zod/mini';

export const number = z.number();
export const count = z.int().check(z.nonnegative());
export const text = z.string();
export const share = z.number().check(z.minimum(0), z.maximum(1));

/** Bounds at 95 %. */
export const interval = z.nullable(z.tuple([number, number]));

/** A share of n things with its Wilson score interval. */
export const rate = z.object({ count, n: count, share, interval: z.tuple([share, share]) });

/** A signal-to-noise ratio in dB. Null where it is not defined; `exact`: no noise at all. */
export const agreement = z.object({ snrDb: z.nullable(number), exact: z.boolean() });

/** Counts between two edges, in bins of equal width. */
export const histogram = z.object({ low: number, high: number, counts: z.array(number) });

export type Rate = z.output<typeof rate>;
export type Agreement = z.output<typeof agreement>;
export type Histogram = z.output<typeof histogram>;

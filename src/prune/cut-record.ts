/**
 * What a model was before it was cut, in its metadata under `pare.cut`, so that a later cut can go
 * on with it: the same share of the same MACs, and widths that are aligned as one cut would align
 * them. Written by every structured cut, read by those that are asked to continue.
 */
import * as z from 'zod/mini';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';

export const cutKey = 'pare.cut';

const record = z.object({
  macs: z.number(),
  parameters: z.number(),
  /** By the id of the family. */
  units: z.record(z.string(), z.number()),
});

/** Before the first of the cuts that belong together. */
export type CutRecord = z.output<typeof record>;

export function recordCut(model: Model, before: CutRecord): void {
  model.metadata.set(cutKey, JSON.stringify(before));
}

/** Throws `usage` for a model that was not cut, and `invalid-model` for a record that is none. */
export function readCut(model: Model): CutRecord {
  const text = model.metadata.get(cutKey);
  if (text === undefined) {
    throw new PareError(
      'usage',
      'structured: the model has had no cut that this one could continue',
      {
        hint: 'leave out continued: shares are then of the model as it is',
      },
    );
  }
  const refuse = (what: string, cause?: unknown) =>
    new PareError('invalid-model', `structured: the metadata "${cutKey}" are ${what}`, {
      hint: 'leave out continued: shares are then of the model as it is',
      cause,
    });
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw refuse('no JSON', cause);
  }
  const parsed = z.safeParse(record, given);
  if (parsed.success) return parsed.data;
  throw refuse('no record of a cut');
}

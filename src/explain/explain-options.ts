/** Options of explain, checked before anything runs. */
import * as z from 'zod/mini';

const count = z.int().check(z.gte(1));

export const explainOptions = z.object({
  /** Samples that units are scored on. */
  samples: z._default(count, 500),
  /** Samples of the deletion curves, none of those; a third of the data at most. */
  curveSamples: z._default(count, 250),
  /** Samples whose path from zero is followed (conductance), of those that are scored. */
  pathSamples: z._default(count, 32),
  /** Cells of a path. */
  steps: z._default(count, 16),
  /** Random orders of the deletion curves. */
  seeds: z._default(z.int().check(z.gte(2)), 5),
  /** Replace every unit by its mean, one by one: exact, and the longest part. */
  ablation: z._default(z.boolean(), true),
  /** Measure deletion curves. */
  faithfulness: z._default(z.boolean(), true),
  /** Samples whose inputs are attributed. */
  inputs: z._default(z.int().check(z.gte(0)), 2),
  /** Classes or tokens to follow paths to; default all classes up to 20, or the most frequent ones. */
  outputs: z.optional(z.array(z.int().check(z.gte(0)))),
  /** Samples per run. */
  batchSize: z._default(count, 32),
});

export type ExplainOptions = z.input<typeof explainOptions>;
export type ExplainSettings = z.output<typeof explainOptions>;

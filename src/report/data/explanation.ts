/**
 * Which units of a model matter, as much of an explanation as a page shows. The whole explanation
 * is what `pare explain --json` prints.
 */
import * as z from 'zod/mini';
import { count, interval, number, share, text } from './common.js';
import { preview } from './quality.js';

/** A sample that excites a unit most or least. */
export const exemplar = z.object({
  /** Index into `samples`. */
  sample: count,
  /** Highest output of the unit on it. */
  value: number,
  /** Where in the sample that is, as shares of its sides: across and down, or along; or null. */
  at: z.nullable(z.array(share)),
  /** For a text: the token there between those around it; null for others. */
  context: z.nullable(z.object({ before: text, token: text, after: text })),
});

/** One channel, neuron or head among the most important ones of its layer. */
export const unit = z.object({
  unit: count,
  score: number,
  /** What replacing it by its mean changes; null where it was not ablated. */
  loss: z.nullable(number),
  accuracy: z.nullable(number),
  zeros: share,
  /** Share of outputs at a bound of the activation other than zero; null where it has none. */
  saturated: z.nullable(share),
  /** The class that loses most when the unit is replaced, and its change of accuracy. */
  worst: z.nullable(z.object({ class: text, accuracy: number })),
  serves: z.array(text),
  nearest: z.nullable(count),
  correlation: z.nullable(number),
  most: z.array(exemplar),
  least: z.array(exemplar),
});

export const unitLayer = z.object({
  id: text,
  op: text,
  /** Name of its weight in the model. */
  weight: z.nullable(text),
  kind: text,
  /** By unit. */
  scores: z.array(number),
  dead: count,
  /** Units of which another one says nearly the same; null where that is not known. */
  twins: z.nullable(count),
  top: z.array(unit),
});

export const estimate = z.object({ mean: number, interval });

export const explanation = z.object({
  /** Criterion of the scores. */
  criterion: text,
  criteria: z.array(z.object({ name: text, summary: text, unit: z.nullable(text) })),
  samplesSeen: count,
  labels: text,
  baseline: z.object({ loss: number, accuracy: share }),
  layers: z.array(unitLayer),
  samples: z.array(z.object({ id: text, label: text, predicted: text, preview })),
  /** Accuracy when more and more units are replaced by their means. */
  curves: z.nullable(
    z.object({
      samples: count,
      units: count,
      seeds: count,
      shares: z.array(share),
      best: text,
      mostFirst: z.array(number),
      leastFirst: z.array(number),
      randomMean: z.array(number),
      randomLow: z.array(number),
      randomHigh: z.array(number),
    }),
  ),
  /** Areas between curves, best criterion first. */
  areas: z.array(
    z.object({ name: text, area: estimate, mostFirst: estimate, leastFirst: estimate }),
  ),
  spearman: z.nullable(z.object({ criteria: z.array(text), matrix: z.array(z.array(number)) })),
  blocks: z.array(z.object({ from: text, to: text, norm: number, share })),
  paths: z.array(z.object({ output: text, steps: text, share: number })),
  attributions: z.array(
    z.object({
      sample: text,
      target: text,
      method: text,
      picture: preview,
      original: preview,
      /** Sum of the attribution less the change of the logit that it should be; or null. */
      error: z.nullable(number),
    }),
  ),
  attributionTests: z.array(
    z.object({ method: text, samples: count, infidelity: number, sensitivity: number }),
  ),
  skipped: z.array(z.object({ what: text, reason: text })),
});

export type ExplanationData = z.output<typeof explanation>;
export type UnitLayer = z.output<typeof unitLayer>;
export type ExemplarData = z.output<typeof exemplar>;
export type UnitData = z.output<typeof unit>;

/**
 * Which units of a model matter, as much of an explanation as a page shows. The whole explanation
 * is what `pare explain --json` prints.
 */
import * as z from 'zod/mini';
import { count, interval, number, share, text } from './common.js';
import { preview } from './quality.js';

/** One channel, neuron or head among the most important ones of its layer. */
export const unit = z.object({
  unit: count,
  score: number,
  /** What replacing it by its mean changes; null where it was not ablated. */
  loss: z.nullable(number),
  accuracy: z.nullable(number),
  zeros: share,
  serves: z.array(text),
  nearest: z.nullable(count),
  correlation: z.nullable(number),
  /** Indices into `samples`: those that excite it most, and least. */
  most: z.array(count),
  least: z.array(count),
});

export const unitLayer = z.object({
  id: text,
  op: text,
  kind: text,
  /** By unit. */
  scores: z.array(number),
  dead: count,
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
    z.object({ sample: text, target: text, method: text, picture: preview, original: preview }),
  ),
  attributionTests: z.array(
    z.object({ method: text, samples: count, infidelity: number, sensitivity: number }),
  ),
  skipped: z.array(z.object({ what: text, reason: text })),
});

export type ExplanationData = z.output<typeof explanation>;
export type UnitLayer = z.output<typeof unitLayer>;
export type UnitData = z.output<typeof unit>;

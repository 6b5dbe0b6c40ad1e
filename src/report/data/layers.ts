/** Layer by layer: where the numbers part, what is sparse or narrow, and how values are spread. */
import * as z from 'zod/mini';
import { agreement, count, histogram, number, share, text } from './common.js';

/** A value that both models have, on the same samples, in order of execution. */
export const layerAgreement = z.object({
  value: text,
  node: text,
  op: text,
  agreement,
  maxAbsError: z.nullable(number),
});

export const layers = z.object({
  samples: count,
  inputs: z.enum(['data', 'random']),
  rows: z.array(layerAgreement),
  /** The first value that is not equal in both; null when all are. */
  firstDifferent: z.nullable(text),
  /** The value before which the SNR falls most from one row to the next; null below two rows. */
  largestFall: z.nullable(z.object({ value: text, fallDb: number })),
  /** Values of the first model that have no partner to compare with. */
  unpaired: count,
});

export const sensitivity = z.object({
  samples: z.object({ nodes: count, tradeOff: count }),
  nodes: z.array(
    z.object({
      node: text,
      op: text,
      aloneSnr: z.nullable(number),
      othersSnr: z.nullable(number),
    }),
  ),
  tradeOff: z.array(
    z.object({
      kept: count,
      bytes: count,
      snrDb: z.nullable(number),
      dropPoints: z.nullable(number),
      flips: z.nullable(share),
    }),
  ),
});

/** The integers that numbers are rounded to. */
export const grid = z.object({
  /** 'int8', 'uint4'. */
  type: text,
  /** Distance of two neighbours; with one per channel the median, the least and the largest. */
  step: number,
  stepRange: z.tuple([number, number]),
  /** Ends of what the integers stand for; with one grid per channel those of the widest. */
  low: number,
  high: number,
  /** How many scales there are. */
  scales: count,
});

export const layerWeights = z.object({
  layer: text,
  op: text,
  weight: text,
  dims: z.array(count),
  /** Null where the layer is gone. */
  dimsAfter: z.nullable(z.array(count)),
  type: text,
  typeAfter: z.nullable(text),
  bytes: count,
  bytesAfter: z.nullable(count),
  zeros: share,
  zerosAfter: z.nullable(share),
  agreement: z.nullable(agreement),
  histogram: z.nullable(histogram),
  /** In the bins of `histogram`. */
  histogramAfter: z.nullable(histogram),
  grid: z.nullable(grid),
});

export const activation = z.object({
  value: text,
  node: text,
  samples: count,
  min: number,
  max: number,
  zeros: share,
  histogram,
  grid: z.nullable(grid),
  /** Of the elements, beyond the ends of the grid by more than half a step. */
  clipped: z.nullable(share),
});

export const widths = z.object({
  rows: z.array(
    z.object({
      family: text,
      kind: text,
      nodes: count,
      before: count,
      after: count,
      left: z.nullable(text),
    }),
  ),
  macsBefore: z.nullable(number),
  macsAfter: z.nullable(number),
  parametersBefore: z.nullable(number),
  parametersAfter: z.nullable(number),
  /** Largest error of the cut model against the zeroed one, relative; null: not proved. */
  proofError: z.nullable(number),
});

export type LayersData = z.output<typeof layers>;
export type SensitivityData = z.output<typeof sensitivity>;
export type Grid = z.output<typeof grid>;
export type LayerWeights = z.output<typeof layerWeights>;
export type ActivationData = z.output<typeof activation>;
export type Widths = z.output<typeof widths>;

/** What an evaluation found, as the rows of a report. Converts, measures nothing. */

import { previewOf } from '../../data/preview.js';
import type { OutputMeasure } from '../../measure/compare-outputs.js';
import { snrOf, worstOutput } from '../../measure/compare-outputs.js';
import type { Evaluation } from '../../measure/evaluation.js';
import type { PredictionLog } from '../../measure/prediction-log.js';
import type { Agreement, Rate } from '../data/common.js';
import {
  type Confusion,
  type EvaluationRow,
  type Flips,
  mostMatrixClasses,
} from '../data/quality.js';

export function evaluationRow(evaluation: Evaluation): EvaluationRow {
  const { model, task, samples, classification, tokens, flips, drop, outputs } = evaluation;
  return {
    ...{ model, task, samples },
    top1: rateOf(classification?.top1),
    top5: rateOf(classification?.top5),
    nextToken: rateOf(tokens?.nextToken),
    perplexity: tokens?.perplexity ?? null,
    flips: rateOf(flips),
    drop: drop && {
      points: drop.points,
      standardError: drop.standardError,
      lost: drop.lost,
      gained: drop.gained,
      // Samples that no model tells apart have no spread, which is no certainty.
      interval:
        drop.standardError > 0
          ? [drop.points - z * drop.standardError, drop.points + z * drop.standardError]
          : null,
    },
    agreement: worstAgreement(outputs),
  };
}

/** 97.5 % point of the standard normal distribution. */
const z = 1.959963984540054;

/** Of the output that agrees least; null where nothing was compared. */
export function worstAgreement(outputs: readonly OutputMeasure[]): Agreement | null {
  const worst = worstOutput(outputs)?.agreement;
  if (!worst) return null;
  const snr = snrOf(worst);
  return { snrDb: Number.isFinite(snr) ? snr : null, exact: worst.exact };
}

export function rateOf(
  rate:
    | { count: number; n: number; share: number; interval: readonly [number, number] }
    | null
    | undefined,
): Rate | null {
  if (!rate) return null;
  const { count, n, share, interval } = rate;
  return { count, n, share, interval: [interval[0], interval[1]] };
}

/** Most pairs of classes that are listed for each model. */
const mostPairs = 20;

/** Null for data without labels and models that predict no classes. */
export function confusionOf(
  log: PredictionLog,
  models: readonly string[],
  names: readonly string[] | undefined,
): Confusion | null {
  const { classes } = log;
  if (classes === undefined) return null;
  const matrices = models.map((_, at) => log.confusion(at));
  if (matrices.some((matrix) => !matrix)) return null;
  return {
    classes: classNames(classes, names),
    models: models.map((model, at) => {
      const matrix = matrices[at]!;
      const pairs = matrix.flatMap((row, label) =>
        [...row.entries()].flatMap(([predicted, count]) =>
          count > 0 && predicted !== label ? [{ label, predicted, count }] : [],
        ),
      );
      return {
        model,
        counts: classes <= mostMatrixClasses ? matrix.map((row) => [...row]) : null,
        pairs: pairs.sort((x, y) => y.count - x.count).slice(0, mostPairs),
      };
    }),
  };
}

/** Null where there are no two models that predict classes. */
export function flipsOf(
  log: PredictionLog,
  models: number,
  names: readonly string[] | undefined,
  scaling: Parameters<typeof previewOf>[1],
): Flips | null {
  const { classes } = log;
  if (classes === undefined || models < 2) return null;
  return {
    classes: classNames(classes, names),
    count: log.flipped,
    samples: log.samples,
    shown: log.flips.map(({ sample, ...rest }) => ({
      id: sample.id,
      label: sample.label ?? null,
      ...rest,
      preview: previewOf(sample, scaling),
    })),
  };
}

function classNames(classes: number, names: readonly string[] | undefined): string[] {
  return Array.from({ length: classes }, (_, at) => names?.[at] ?? String(at));
}

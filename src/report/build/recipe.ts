/** Recipes, candidates, and what was left alone, as parts of a report. Converts, measures nothing. */
import type { BenchRow } from '../../measure/bench.js';
import type { Evaluation } from '../../measure/evaluation.js';
import type { OptimizeResult } from '../../optimize/optimize.js';
import { groupSkips } from '../../optimize/receipt.js';
import type { Recipe } from '../../optimize/recipe.js';
import type { PassReport } from '../../pass.js';
import type { BenchRowData } from '../data/cost.js';
import type { CandidateRow, Skipped, Step } from '../data/recipe.js';
import { rateOf, worstAgreement } from './evaluations.js';

export function recipePart(recipe: Recipe, reports: readonly PassReport[] | undefined): Step[] {
  return recipe.map(({ pass, options }, at) => {
    const report = reports?.[at];
    return {
      pass,
      options: plain(options),
      changed: report?.changed.length ?? null,
      left: report?.skipped.length ?? null,
      notes: [...(report?.notes ?? [])],
    };
  });
}

/** As JSON has it: without what is undefined. */
function plain(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(options)) as Record<string, unknown>;
}

export function candidatesPart({
  original,
  candidates,
}: Pick<OptimizeResult, 'original' | 'candidates'>): CandidateRow[] {
  const { sizeBytes, bench, evaluation } = original;
  const first = { name: 'original', why: 'the model as it is', reasons: [] };
  return [
    { ...first, verdict: 'original', ...figures(sizeBytes, bench, evaluation) },
    ...candidates.map(({ name, why, verdict, reasons, ...rest }) => ({
      ...{ name, why, verdict, reasons: [...reasons] },
      ...figures(rest.sizeBytes, rest.bench, rest.evaluation),
    })),
  ];
}

function figures(bytes: number | null, bench: BenchRow | null, evaluation: Evaluation | null) {
  const interval = bench?.speedUp?.interval;
  return {
    bytes,
    medianMs: bench?.medianMs ?? null,
    speedUp: bench?.speedUp?.ratio ?? null,
    speedUpInterval: interval ? ([interval[0], interval[1]] as [number, number]) : null,
    score: rateOf(evaluation?.classification?.top1 ?? evaluation?.tokens?.nextToken),
    dropPoints: evaluation?.drop?.points ?? null,
    flips: rateOf(evaluation?.flips),
    agreement: evaluation ? worstAgreement(evaluation.outputs) : null,
  };
}

/** Most node names that a group lists; the count is of all. */
const mostNames = 40;

export function skippedPart(reports: readonly PassReport[], notes: readonly string[]): Skipped {
  return {
    groups: groupSkips(reports).map(({ pass, op, reason, nodes }) => ({
      ...{ pass, op, reason },
      nodes: nodes.slice(0, mostNames),
      count: nodes.length,
    })),
    notes: [...new Set(notes)],
  };
}

export function benchPart(rows: readonly BenchRow[]): BenchRowData[] {
  return rows.map(({ memory, speedUp, ...row }) => ({
    ...row,
    peakBytes: memory?.peakBytes ?? null,
    speedUp: speedUp && {
      ratio: speedUp.ratio,
      interval: speedUp.interval && [speedUp.interval[0], speedUp.interval[1]],
    },
  }));
}

/**
 * Evaluations and timings as cells of tables, one wording for every command.
 */
import type { BenchRow } from '../measure/bench.js';
import { snrOf, worstOutput } from '../measure/compare-outputs.js';
import type { Evaluation } from '../measure/evaluation.js';
import {
  formatBytes,
  formatDb,
  formatMs,
  formatPercent,
  formatPoints,
  formatRatio,
} from './format.js';
import type { Column } from './table.js';

const missing = '';

/** Columns that make sense for a task, in the order of the cells of `qualityCells`. */
export function qualityColumns(reference: Evaluation): Column[] {
  const right = (header: string): Column => ({ header, align: 'right' });
  if (reference.task === 'generic') return [right('SNR'), right('cosine'), right('max error')];
  const scored = hasScore(reference);
  return [
    ...(scored ? [right(reference.task === 'tokens' ? 'next token' : 'top-1')] : []),
    ...(reference.task === 'tokens' ? [right('perplexity')] : []),
    ...(scored ? [right('drop')] : []),
    right('flips'),
    right('SNR'),
  ];
}

/** Of several outputs SNR, cosine and error are those of the one that agrees least. */
export function qualityCells(evaluation: Evaluation | null, reference: Evaluation): string[] {
  const agreement = evaluation ? worstOutput(evaluation.outputs)?.agreement : undefined;
  const snr = agreement ? formatDb(snrOf(agreement)) : missing;
  if (reference.task === 'generic') {
    return [
      snr,
      agreement?.cosine?.toFixed(6) ?? missing,
      agreement?.maxAbsError?.toExponential(2) ?? missing,
    ];
  }
  const score = evaluation?.classification?.top1 ?? evaluation?.tokens?.nextToken;
  const { drop, flips } = evaluation ?? {};
  return [
    ...(hasScore(reference) ? [score ? formatPercent(score.share) : missing] : []),
    ...(reference.task === 'tokens' ? [evaluation?.tokens?.perplexity?.toFixed(4) ?? missing] : []),
    ...(hasScore(reference) ? [drop ? formatPoints(drop.points) : missing] : []),
    flips ? formatPercent(flips.share) : missing,
    snr,
  ];
}

function hasScore({ task, classification }: Evaluation): boolean {
  return task === 'tokens' || (classification?.top1 ?? null) !== null;
}

export const latencyColumns: readonly Column[] = [
  { header: 'latency', align: 'right' },
  { header: 'speed', align: 'right' },
];

/** Median latency, and speed-up against the first model with its 95 % interval. */
export function latencyCells(row: BenchRow | null): string[] {
  if (!row) return [missing, missing];
  const { speedUp } = row;
  const interval = speedUp?.interval?.map((bound) => bound.toFixed(2)).join('-');
  return [
    formatMs(row.medianMs),
    speedUp ? `${formatRatio(speedUp.ratio)}${interval ? ` (${interval})` : ''}` : missing,
  ];
}

export function memoryCell(row: BenchRow | null): string {
  return row?.memory ? formatBytes(row.memory.peakBytes) : missing;
}

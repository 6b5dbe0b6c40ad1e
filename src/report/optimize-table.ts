/**
 * What `optimize` measured, as two tables: every candidate, and before beside after.
 */
import type { OptimizeResult } from '../optimize/optimize.js';
import { formatBytes } from './format.js';
import {
  latencyCells,
  latencyColumns,
  memoryCell,
  qualityCells,
  qualityColumns,
} from './measurements.js';
import type { Style } from './style.js';
import { type Cell, table } from './table.js';

export interface TableSettings {
  readonly width: number;
  readonly style: Style;
}

/** One row per candidate, the original first, rejected ones with their reasons below. */
export function candidateTable(result: OptimizeResult, settings: TableSettings): string {
  const { original, candidates } = result;
  const reference = original.evaluation;
  const measured = candidates.filter(({ bench }) => bench !== null);
  const rows: Cell[][] = [
    ['original', formatBytes(original.sizeBytes), ...latencyCells(original.bench)].concat(
      qualityCells(reference, reference),
    ),
    ...measured.map(({ name, sizeBytes, bench, evaluation, verdict }): Cell[] => [
      verdict === 'chosen' ? { text: `> ${name}`, tone: 'good' } : name,
      formatBytes(sizeBytes!),
      ...latencyCells(bench),
      ...qualityCells(evaluation, reference),
    ]),
  ];
  const notes = candidates
    .filter(({ reasons }) => reasons.length > 0)
    .map(({ name, reasons }) => `${name}: ${reasons.join('; ')}`);
  return table(
    [
      { header: 'candidate' },
      { header: 'size', align: 'right' },
      ...latencyColumns,
      ...qualityColumns(reference),
    ],
    rows,
    { ...settings, notes },
  );
}

/** Two rows, four figures: size, latency, memory, quality. */
export function beforeAfterTable(result: OptimizeResult, settings: TableSettings): string {
  const { original, candidates } = result;
  const chosen = candidates.find(({ verdict }) => verdict === 'chosen')!;
  const reference = original.evaluation;
  return table(
    [
      { header: '' },
      { header: 'size', align: 'right' },
      ...latencyColumns,
      { header: 'memory', align: 'right' },
      ...qualityColumns(reference),
    ],
    [
      [
        'before',
        formatBytes(original.sizeBytes),
        ...latencyCells(original.bench),
        memoryCell(original.bench),
        ...qualityCells(reference, reference),
      ],
      [
        'after',
        formatBytes(chosen.sizeBytes!),
        ...latencyCells(chosen.bench),
        memoryCell(chosen.bench),
        ...qualityCells(chosen.evaluation, reference),
      ],
    ],
    settings,
  );
}

/**
 * What every node of a quantized model costs, and the trade-off, as two tables.
 */
import type { SensitivityReport } from '../optimize/sensitivity.js';
import { formatBytes, formatDb } from './format.js';
import { qualityCells, qualityColumns } from './measurements.js';
import { type TableOptions, table } from './table.js';

/** Rows of the first table: the rest is in the report's file. */
const mostNodes = 20;

/** @param by what the steps of the trade-off do with the nodes, the worst first */
export function sensitivityText(
  { nodes, tradeOff, samples }: SensitivityReport,
  by: 'exclude' | 'wide',
  options: TableOptions,
): string {
  const snr = (value: number | null) => (value === null ? 'refused' : formatDb(value));
  const rows = nodes
    .slice(0, mostNodes)
    .map(({ node, op, aloneSnr, othersSnr }) => [node, op, snr(aloneSnr), snr(othersSnr)]);
  const hidden = nodes.length - rows.length;
  const damage = table(
    [
      { header: 'node' },
      { header: 'op', flexible: false },
      { header: 'SNR alone', align: 'right' },
      { header: 'SNR of all others', align: 'right' },
    ],
    rows,
    { ...options, ...(hidden > 0 && { notes: [`${hidden} more nodes do less damage`] }) },
  );
  const reference = tradeOff.find(({ evaluation }) => evaluation)?.evaluation;
  if (!reference) return damage;
  const how = by === 'exclude' ? 'in float' : '16 bits';
  const steps = table(
    [
      { header: how, align: 'right' },
      { header: 'size', align: 'right' },
      ...qualityColumns(reference),
    ],
    tradeOff.map(({ kept, sizeBytes, evaluation }) => [
      String(kept),
      formatBytes(sizeBytes),
      ...(evaluation ? qualityCells(evaluation, reference) : ['refused by the runtime']),
    ]),
    { ...options, notes: [`the worst nodes first; on ${samples.tradeOff} samples`] },
  );
  return `${damage}\n\n${steps}`;
}

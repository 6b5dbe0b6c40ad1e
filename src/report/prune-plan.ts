/** The plan of a structured cut as a table: every width before and after, and what froze the rest. */
import type { PlanDetails } from '../prune/plan-details.js';
import { formatBytes, formatCount, formatPercent } from './format.js';
import { type Cell, type TableOptions, table } from './table.js';

/**
 * @example
 * console.log(prunePlanText(report.details as PlanDetails, { width: 100 }));
 */
export function prunePlanText(plan: PlanDetails, settings: TableOptions = {}): string {
  const rows = plan.rows.map((row): Cell[] => [
    row.family,
    row.kind,
    String(row.nodes.length),
    String(row.widthBefore),
    String(row.widthAfter),
    row.left ?? '',
  ]);
  const columns = [
    { header: 'family' },
    { header: 'units' },
    { header: 'nodes', align: 'right' as const },
    { header: 'width', align: 'right' as const },
    { header: 'after', align: 'right' as const },
    { header: 'left because' },
  ];
  const parts = [
    rows.length > 0 ? table(columns, rows, settings) : 'No width of this model can shrink.',
  ];
  const frozen = groupFrozen(plan);
  if (frozen.length > 0) {
    const header = [
      { header: 'frozen widths', align: 'right' as const },
      { header: 'by' },
      { header: 'because' },
    ];
    parts.push(table(header, frozen, settings));
  }
  parts.push(summary(plan));
  return parts.join('\n\n');
}

/** One row per reason and culprit, most widths first. */
function groupFrozen({ frozen }: PlanDetails): Cell[][] {
  const groups = new Map<string, { by: string; reason: string; count: number }>();
  for (const { by, reason } of frozen) {
    const key = `${by} ${reason}`;
    const group = groups.get(key) ?? { by, reason, count: 0 };
    groups.set(key, group);
    group.count++;
  }
  return [...groups.values()]
    .sort((a, b) => b.count - a.count)
    .map(({ by, reason, count }) => [String(count), by, reason]);
}

function summary({ rows, before, after, original, proof, repair }: PlanDetails): string {
  const less = (a: number, b: number) => formatPercent(b > 0 ? 1 - a / b : 0);
  const lines = [
    `MACs ${formatCount(before.macs)} to ${formatCount(after.macs)} (${less(after.macs, before.macs)} fewer), ` +
      `parameters ${formatCount(before.parameters)} to ${formatCount(after.parameters)} (${less(after.parameters, before.parameters)} fewer), ` +
      `file ${formatBytes(before.bytes)} to ${formatBytes(after.bytes)}`,
  ];
  if (original) {
    lines.push(
      `With the cuts before: ${less(after.macs, original.macs)} fewer MACs, ${less(after.parameters, original.parameters)} fewer parameters`,
    );
  }
  if (rows.every(({ unitsBefore, unitsAfter }) => unitsAfter === unitsBefore))
    lines.push('Nothing was cut: no unit has to leave for this target');
  else if (proof)
    lines.push(`Proof: zeroed and cut model agree to ${proof.relativeError.toExponential(1)}`);
  else lines.push('NOT PROVED: the cut model was not compared with the zeroed one');
  if (repair) {
    lines.push(`Repaired ${repair.layers.length} layers on ${repair.samples} samples`);
    const reasons = new Map<string, string[]>();
    for (const { node, reason } of repair.left) {
      reasons.set(reason, [...(reasons.get(reason) ?? []), node]);
    }
    for (const [reason, nodes] of reasons) {
      const others = nodes.length > 3 ? ` and ${nodes.length - 3} more` : '';
      lines.push(`Not repaired, since ${reason}: ${nodes.slice(0, 3).join(', ')}${others}`);
    }
  }
  return lines.join('\n');
}

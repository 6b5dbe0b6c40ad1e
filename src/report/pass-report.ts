/**
 * What passes changed and left alone, as text.
 */
import { groupSkips } from '../optimize/receipt.js';
import type { PassReport } from '../pass.js';
import { formatInteger } from './format.js';
import { type TableOptions, table } from './table.js';

/** Changes counted by what was done, then the reasons of what was left alone. */
export function passReportText(reports: readonly PassReport[], options: TableOptions): string {
  const lines: string[] = [];
  for (const { pass, changed, skipped, notes } of reports) {
    lines.push(
      `${pass}: ${formatInteger(changed.length)} changed, ${formatInteger(skipped.length)} left alone`,
      ...notes.map((note) => `  ${note}`),
    );
  }
  const groups = groupSkips(reports);
  if (groups.length > 0) {
    const rows = groups.map(({ op, nodes, reason }) => [op, formatInteger(nodes.length), reason]);
    lines.push(
      '',
      table(
        [{ header: 'left alone' }, { header: 'nodes', align: 'right' }, { header: 'why' }],
        rows,
        options,
      ),
    );
  }
  return lines.join('\n');
}

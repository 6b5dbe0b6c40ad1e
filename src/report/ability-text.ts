/**
 * What pare can do to a model, as a table: each scheme tried on a copy, pruning and training, with
 * what is left alone and why. Words and layout only.
 */
import type { Inspection } from '../measure/inspect.js';
import type { SchemeOutlook } from '../optimize/outlook.js';
import { formatBytes, formatCount, formatInteger, formatSigned } from './format.js';
import { type Cell, type Column, type TableOptions, table } from './table.js';

/** Reasons per row; --json has all of them. */
const mostReasons = 4;

const right = (header: string): Column => ({ header, align: 'right' });

/** Rows of what pruning and training find, as those of the schemes. */
function structureRows({ prune, train }: Inspection): Cell[][] {
  const rows: Cell[][] = [];
  const push = (name: string, nodes: string, lines: readonly string[]) => {
    rows.push([name, nodes, '', lines[0] ?? 'nothing is in the way']);
    for (const each of lines.slice(1, mostReasons)) rows.push(['', '', '', each]);
    const more = lines.length - mostReasons;
    if (more > 0) rows.push(['', '', '', more === 1 ? 'one more reason' : `${more} more reasons`]);
  };
  if (prune) {
    const free = prune.free.map(
      ({ kind, widths, units }) =>
        `${formatInteger(units)} ${kind} in ${widths} ${widths === 1 ? 'width' : 'widths'} can leave`,
    );
    const frozen = prune.frozen.map(
      ({ reason, widths }) => `${widths} ${widths === 1 ? 'width' : 'widths'} frozen: ${reason}`,
    );
    push('prune', prune.error ? 'no' : '', prune.error ? [prune.error] : [...free, ...frozen]);
  }
  if (train) {
    const { tensors, parameters, blocked, frozen, error } = train;
    const lines = [
      ...(error ? [error] : []),
      ...blocked.map(({ op, reason, nodes }) => `${nodes} ${op}: ${reason}`),
      ...(!error && blocked.length === 0
        ? [`${formatCount(parameters)} parameters in ${formatInteger(tensors)} tensors can learn`]
        : []),
      ...frozen.map(({ reason, tensors: count }) => `${count} tensors stay: each ${reason}`),
    ];
    push('finetune', error || blocked.length > 0 ? 'no' : '', lines);
  }
  return rows;
}

/** One row per scheme, then pruning and training: what would change, and why not more. */
export function abilityText(
  inspection: Inspection,
  schemes: readonly SchemeOutlook[],
  settings: TableOptions,
): string {
  const { simplify, tensorBytes, quantization } = inspection;
  const rows: Cell[][] = [];
  if (simplify) {
    const { nodesBefore, nodesAfter, error } = simplify;
    const change =
      nodesAfter === nodesBefore ? 'nothing to do' : `${nodesBefore} to ${nodesAfter} nodes`;
    rows.push(['simplify', '', '', error ?? change]);
  }
  for (const { scheme, changed, tensorBytes: after, left, error, notes: remarks } of schemes) {
    const change =
      after === null || changed === 0
        ? ''
        : `${formatBytes(after)} (${formatSigned((100 * (after - tensorBytes)) / Math.max(1, tensorBytes), (x) => `${x.toFixed(0)} %`)})`;
    const reasons = left.slice(0, mostReasons).map(reasonText);
    const more = left.length - mostReasons;
    if (more > 0) reasons.push(more === 1 ? 'one more reason' : `${more} more reasons`);
    const lines = error ? [error] : [...reasons, ...(changed > 0 ? remarks : [])];
    rows.push([
      scheme,
      error ? 'no' : formatInteger(changed),
      change,
      lines[0] ?? (changed > 0 ? 'nothing with weights is left alone' : 'no node with weights'),
    ]);
    for (const each of lines.slice(1)) rows.push(['', '', '', each]);
  }
  rows.push(...structureRows(inspection));
  const already = quantization.forms.length > 0;
  return table(
    [
      { header: 'what pare can do' },
      right('nodes'),
      right('constants'),
      { header: 'left alone, and why' },
    ],
    rows,
    {
      ...settings,
      notes: already ? ['The model is quantized already; start from the float model.'] : [],
    },
  );
}

function reasonText({ nodes: count, ops, reason }: SchemeOutlook['left'][number]): string {
  const named = ops.length > 3 ? `${ops.length} operators` : ops.join(', ');
  return `${formatInteger(count)} ${named}: ${reason}`;
}

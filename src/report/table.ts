/**
 * Plain-text tables that fit a terminal. Long names are shortened in the middle; numbers never
 * are, since a cut number is a wrong one. Where a row cannot fit at all, each row becomes a block
 * of "header: value" lines.
 */
import { plainStyle, type Style, type Tone } from './style.js';
import { displayWidth, pad, printable, truncateMiddle, wrap } from './text.js';

export interface Column {
  readonly header: string;
  /** Default left. Numbers go right. */
  readonly align?: 'left' | 'right' | undefined;
  /** May be shortened to fit. Default: left-aligned columns may. */
  readonly flexible?: boolean | undefined;
}

/** A cell's text, with what it means where that matters. */
export type Cell = string | { readonly text: string; readonly tone: Tone };

export interface TableOptions {
  /** Columns of the terminal. Default: no limit. */
  readonly width?: number | undefined;
  readonly style?: Style | undefined;
  /** Remarks below the table. */
  readonly notes?: readonly string[] | undefined;
}

const gap = 2;
/** Below this a shortened name says nothing any more. */
const leastFlexible = 8;

/**
 * The table as lines, without a newline at the end. Missing cells are empty.
 *
 * @example
 * table([{ header: 'model' }, { header: 'size', align: 'right' }], [['a.onnx', '3.41 MB']])
 * // model      size
 * // ──────  ───────
 * // a.onnx  3.41 MB
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions = {},
): string {
  const { width = Number.POSITIVE_INFINITY, style = plainStyle, notes = [] } = options;
  const cells = rows.map((row) => columns.map((_, i) => clean(row[i] ?? '')));
  const widths = fitColumns(columns, cells, width);
  const lines = widths ? grid(columns, cells, widths, style) : blocks(columns, cells, width, style);
  for (const note of notes) {
    lines.push(...wrap(note, width).map((line) => style.paint('faint', line)));
  }
  return lines.join('\n');
}

interface CleanCell {
  readonly text: string;
  readonly tone: Tone | undefined;
}

function clean(cell: Cell): CleanCell {
  if (typeof cell === 'string') return { text: printable(cell), tone: undefined };
  return { text: printable(cell.text), tone: cell.tone };
}

/** Widths of the columns, or undefined when no shortening makes them fit. */
function fitColumns(
  columns: readonly Column[],
  rows: readonly (readonly CleanCell[])[],
  width: number,
): number[] | undefined {
  const natural = columns.map(({ header }, i) =>
    rows.reduce((most, row) => Math.max(most, displayWidth(row[i]!.text)), displayWidth(header)),
  );
  const least = columns.map((column, i) => {
    const flexible = column.flexible ?? column.align !== 'right';
    return flexible ? Math.min(natural[i]!, leastFlexible) : natural[i]!;
  });
  const available = width - gap * (columns.length - 1);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  if (sum(natural) <= available) return natural;
  if (sum(least) > available) return undefined;
  const widths = [...natural];
  // The widest column gives way first, so that short names stay whole.
  while (sum(widths) > available) {
    let widest = -1;
    for (const [i, value] of widths.entries()) {
      if (value > least[i]! && (widest < 0 || value > widths[widest]!)) widest = i;
    }
    widths[widest]!--;
  }
  return widths;
}

function grid(
  columns: readonly Column[],
  rows: readonly (readonly CleanCell[])[],
  widths: readonly number[],
  style: Style,
): string[] {
  const ellipsis = style.unicode ? '…' : '...';
  const line = (cells: readonly CleanCell[]) =>
    cells
      .map(({ text, tone }, i) => {
        const shown = truncateMiddle(text, widths[i]!, ellipsis);
        // The last column is not filled up: no spaces at the end of a line.
        const last = i === columns.length - 1 && columns[i]!.align !== 'right';
        const padded = last ? shown : pad(shown, widths[i]!, columns[i]!.align);
        return tone ? style.paint(tone, padded) : padded;
      })
      .join(' '.repeat(gap))
      .trimEnd();
  const rule = widths.map((width) => (style.unicode ? '─' : '-').repeat(width)).join('  ');
  return [
    line(columns.map(({ header }) => ({ text: header, tone: 'strong' }))),
    style.paint('faint', rule),
    ...rows.map(line),
  ];
}

function blocks(
  columns: readonly Column[],
  rows: readonly (readonly CleanCell[])[],
  width: number,
  style: Style,
): string[] {
  const ellipsis = style.unicode ? '…' : '...';
  const lines: string[] = [];
  for (const row of rows) {
    if (lines.length > 0) lines.push('');
    for (const [i, { text, tone }] of row.entries()) {
      const { header, align } = columns[i]!;
      const room = Math.max(leastFlexible, width - displayWidth(header) - 2);
      const shown = align === 'right' ? text : truncateMiddle(text, room, ellipsis);
      lines.push(
        `${style.paint('strong', `${header}:`)} ${tone ? style.paint(tone, shown) : shown}`,
      );
    }
  }
  return lines;
}

/**
 * Comma-separated text to rows of strings (RFC 4180, also ';' and tab), with line numbers in
 * errors. What the columns mean is for others.
 */
import { PareError } from '../errors.js';

export interface CsvTable {
  /** Column names, or undefined when the first row holds data. */
  readonly header: readonly string[] | undefined;
  readonly rows: readonly (readonly string[])[];
  /** Line of each row in the file, from 1. */
  readonly lines: readonly number[];
}

/**
 * Parses a whole file. `isHeader` decides on the first row. Empty lines are left out.
 * Throws `invalid-data` with the line for a ragged row or a quote that never ends.
 */
export function parseCsv(
  text: string,
  name: string,
  isHeader: (firstRow: readonly string[]) => boolean,
): CsvTable {
  const { rows, lines } = splitRows(text.replace(/^\ufeff/, ''), name);
  if (rows.length === 0)
    throw new PareError('invalid-data', 'data: the CSV is empty', { file: name });
  const width = rows[0]!.length;
  rows.forEach((row, i) => {
    if (row.length !== width) {
      throw new PareError(
        'invalid-data',
        `data: line ${lines[i]} of the CSV has ${row.length} fields, the first line has ${width}`,
        { file: name },
      );
    }
  });
  const hasHeader = isHeader(rows[0]!);
  return {
    header: hasHeader ? rows[0]!.map((field) => field.trim()) : undefined,
    rows: hasHeader ? rows.slice(1) : rows,
    lines: hasHeader ? lines.slice(1) : lines,
  };
}

/** The separator that the first line uses most, outside of quotes. */
function findSeparator(text: string): string {
  const start = text.slice(0, 1 << 16).replace(/"[^"]*"?/g, '');
  const line = start.replace(/^[\r\n]+/, '').split('\n')[0]!;
  const count = (separator: string) => line.split(separator).length;
  return [',', ';', '\t'].reduce((best, next) => (count(next) > count(best) ? next : best));
}

function splitRows(text: string, name: string) {
  const separator = findSeparator(text);
  const rows: string[][] = [];
  const lines: number[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const row: string[] = [];
    const firstLine = line;
    for (let more = true; more; ) {
      let field: string;
      if (text[at] === '"') {
        const quoted = readQuoted(text, at);
        if (!quoted) {
          throw new PareError(
            'invalid-data',
            `data: line ${firstLine} of the CSV opens a quote that never closes`,
            { file: name },
          );
        }
        field = quoted.field;
        line += field.split('\n').length - 1;
        at = quoted.end;
      } else field = '';
      // After a closing quote only a separator or a line end is usual; keep what else is there.
      const start = at;
      while (at < text.length && text[at] !== separator && text[at] !== '\n') at++;
      row.push((field + text.slice(start, at)).replace(/\r$/, ''));
      more = text[at] === separator;
      at++;
    }
    line++;
    if (row.length > 1 || row[0]!.trim() !== '') {
      rows.push(row);
      lines.push(firstLine);
    }
  }
  return { rows, lines };
}

/** A field from its opening quote on; a doubled quote stands for one. */
function readQuoted(text: string, start: number): { field: string; end: number } | undefined {
  let field = '';
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return undefined;
    field += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { field, end: quote + 1 };
    field += '"';
    at = quote + 2;
  }
}

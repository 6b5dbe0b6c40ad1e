/**
 * Samples out of a table: one row, one sample. A label column is taken out; the other columns are
 * one vector for the only input, or one number each for inputs of the same names.
 */
import type { HostTensor, PortInfo } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { type ByteSource, readAll } from '../onnx/byte-source.js';
import { labelsOf } from './class-labels.js';
import { type CsvTable, parseCsv } from './csv.js';
import { fingerprintSource } from './fingerprint.js';
import type { RawSource } from './raw-source.js';

const labelColumns = /^(y|labels?|class|target)$/i;
const fileColumns = /^(file|filename|file_name|path|image|wav)$/i;

/** The column of a header that names files: then the table labels files and holds no numbers. */
export function findFileColumn(header: readonly string[]): number {
  return header.findIndex((name) => fileColumns.test(name.trim()));
}

export function findLabelColumn(header: readonly string[]): number {
  return header.findIndex((name) => labelColumns.test(name.trim()));
}

const isNumber = (field: string) => field.trim() !== '' && !Number.isNaN(Number(field));

/**
 * The first row is a header when no field of it is a number. Without one, a last column that is
 * no number is the label. Throws `invalid-data` with line and column where a number is missing.
 */
export async function csvSource(
  source: ByteSource,
  ports: readonly PortInfo[] | undefined,
): Promise<RawSource> {
  const text = new TextDecoder().decode(await readAll(source));
  const table = parseCsv(text, source.name, (row) => !row.some(isNumber));
  const width = table.rows[0]?.length ?? 0;
  const labelColumn = findLabels(table, ports);
  const columns = Array.from({ length: width }, (_, i) => i).filter((i) => i !== labelColumn);
  const features = parseFeatures(table, columns, source.name);
  const labels =
    labelColumn < 0
      ? undefined
      : labelsOf(
          table.rows.map((row) => row[labelColumn]!.trim()),
          source.name,
        );
  const named = namedColumns(table, columns, ports);
  const perRow = columns.length;
  return {
    name: source.name,
    size: table.rows.length,
    kind: 'array',
    hasLabels: labels !== undefined,
    classes: labels?.classes,
    notes: [],
    async read(index) {
      const row = features.subarray(index * perRow, (index + 1) * perRow);
      const values: Record<string, HostTensor> = {};
      if (named) {
        for (const [name, column] of named) values[name] = numbers([row[column]!], []);
      } else values[''] = numbers(row, [perRow]);
      return { id: `line ${table.lines[index]}`, values, label: labels?.indices[index] };
    },
    fingerprint: () => fingerprintSource(source),
  };
}

const numbers = (values: ArrayLike<number>, dims: readonly number[]): HostTensor => ({
  dataType: 'double',
  dims,
  data: Float64Array.from(values),
});

function findLabels({ header, rows }: CsvTable, ports: readonly PortInfo[] | undefined): number {
  if (header) {
    const column = findLabelColumn(header);
    return ports?.some(({ name }) => name === header[column]) ? -1 : column;
  }
  const last = (rows[0]?.length ?? 0) - 1;
  return last > 0 && !isNumber(rows[0]![last]!) ? last : -1;
}

/** Position among the feature columns by input name, when every input has a column. */
function namedColumns(
  { header }: CsvTable,
  columns: readonly number[],
  ports: readonly PortInfo[] | undefined,
): [string, number][] | undefined {
  if (!header || !ports?.length) return undefined;
  const names = columns.map((column) => header[column]!);
  const isComplete = ports.every(({ name }) => names.includes(name));
  // One input of several numbers may bear the name of its first column; a table of that one
  // column only is the clear case.
  if (!isComplete || (ports.length === 1 && names.length > 1)) return undefined;
  return names.map((name, i) => [name, i]);
}

function parseFeatures(
  { header, rows, lines }: CsvTable,
  columns: readonly number[],
  file: string,
): Float64Array {
  const out = new Float64Array(rows.length * columns.length);
  let at = 0;
  rows.forEach((row, i) => {
    for (const column of columns) {
      if (!isNumber(row[column]!)) {
        const name = header ? `"${header[column]}"` : String(column + 1);
        throw new PareError(
          'invalid-data',
          `data: line ${lines[i]}, column ${name} of the CSV holds "${row[column]!.slice(0, 40)}", not a number`,
          { file, hint: 'remove columns that feed no input; name the class column "label"' },
        );
      }
      out[at++] = Number(row[column]);
    }
  });
  return out;
}

/**
 * Which class each file of a folder belongs to: by a table beside the files, or by the folder
 * that a file lies in. Reads no sample.
 */
import { PareError } from '../errors.js';
import { readAll } from '../onnx/byte-source.js';
import { type ClassLabels, labelsOf } from './class-labels.js';
import { parseCsv } from './csv.js';
import { findFileColumn, findLabelColumn } from './csv-source.js';
import type { DatasetParts } from './dataset.js';
import { baseName, type FolderFile } from './folder.js';

export interface LabelledFiles {
  readonly files: readonly FolderFile[];
  readonly labels?: ClassLabels | undefined;
  readonly parts?: DatasetParts | undefined;
  readonly notes: readonly string[];
}

/**
 * By a table of `file,label`; paths count from the table's own folder. Without a header the
 * first two columns are meant; without a label column the files have none. The order is the
 * table's. Throws `invalid-data` with the line for a file that is not there.
 */
export async function labelByTable(
  files: readonly FolderFile[],
  table: FolderFile,
  name: string,
): Promise<LabelledFiles> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const base = table.path.slice(0, table.path.length - baseName(table.path).length);
  const find = (path: string) =>
    byPath.get(base + path.trim().replaceAll('\\', '/').replace(/^\.\//, ''));
  const text = new TextDecoder().decode(await readAll(await table.open()));
  const where = `${name}/${table.path}`;
  const { header, rows, lines } = parseCsv(text, where, (row) =>
    row.every((field) => !find(field)),
  );
  const fileColumn = header ? Math.max(0, findFileColumn(header)) : 0;
  const labelColumn = header ? findLabelColumn(header) : rows[0] && rows[0].length > 1 ? 1 : -1;
  const listed = rows.map((row, i) => {
    const file = find(row[fileColumn]!);
    if (file) return file;
    throw new PareError(
      'invalid-data',
      `data: line ${lines[i]} names "${row[fileColumn]}", which is not in the folder`,
      { file: where, hint: 'the header is "file,label"; paths count from the folder of the table' },
    );
  });
  const left = files.length - new Set(listed).size;
  return {
    files: listed,
    labels:
      labelColumn < 0
        ? undefined
        : labelsOf(
            rows.map((row) => row[labelColumn]!.trim()),
            where,
          ),
    notes: left > 0 ? [`${left} files are not in ${table.path} and are not used`] : [],
  };
}

/**
 * By the first folder below what all paths share. All files in one folder: no labels. Folders
 * `train` and `test` (or `val`) on top become parts, training files first. Throws
 * `invalid-data` when only some of the files lie in a class folder.
 */
export function labelByFolder(files: readonly FolderFile[], name: string): LabelledFiles {
  const paths = files.map(({ path }) => path.split('/'));
  const depth = sharedDepth(paths);
  const top = [...new Set(paths.map((path) => (path.length > depth + 1 ? path[depth]! : '')))];
  const train = top.find((folder) => /^train(ing)?$/i.test(folder));
  const test = findTest(top);
  if (train !== undefined && test !== undefined) {
    return labelParts(files, paths, depth, { train, test }, name);
  }
  return { files, labels: classesAt(paths, depth, name), notes: [] };
}

function findTest(top: readonly string[]): string | undefined {
  const named = (pattern: RegExp) => top.find((folder) => pattern.test(folder));
  return named(/^test(ing)?$/i) ?? named(/^val(id|idation)?$/i);
}

function labelParts(
  files: readonly FolderFile[],
  paths: readonly string[][],
  depth: number,
  part: { readonly train: string; readonly test: string },
  name: string,
): LabelledFiles {
  const order = [part.train, part.test].map((folder) =>
    paths.flatMap((path, i) => (path.length > depth + 1 && path[depth] === folder ? [i] : [])),
  );
  const chosen = order.flat();
  const start = order[0]!.length;
  const left = files.length - chosen.length;
  return {
    files: chosen.map((i) => files[i]!),
    labels: classesAt(
      chosen.map((i) => paths[i]!),
      depth + 1,
      name,
    ),
    parts: { train: { start: 0, end: start }, test: { start, end: chosen.length } },
    notes:
      left > 0
        ? [`${left} files lie neither in ${part.train} nor in ${part.test} and are not used`]
        : [],
  };
}

/** How many leading folders all paths have in common. */
function sharedDepth(paths: readonly string[][]): number {
  const first = paths[0] ?? [];
  let depth = 0;
  while (paths.every((path) => path.length > depth + 1 && path[depth] === first[depth])) {
    if (paths.length === 0) break;
    depth++;
  }
  return depth;
}

function classesAt(
  paths: readonly string[][],
  depth: number,
  name: string,
): ClassLabels | undefined {
  const flat = paths.filter((path) => path.length === depth + 1);
  if (flat.length === paths.length) return undefined;
  if (flat.length > 0) {
    throw new PareError(
      'invalid-data',
      `data: ${paths.length - flat.length} files lie in class folders, ${flat.length} beside them, such as "${flat[0]!.join('/')}"`,
      { file: name, hint: 'move every file into the folder of its class, or write a labels.csv' },
    );
  }
  return labelsOf(
    paths.map((path) => path[depth]!),
    name,
  );
}

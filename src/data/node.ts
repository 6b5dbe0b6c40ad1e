/**
 * Data from this machine's disk: any path that a user gives, and preprocessing from a file.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, PareError } from '../errors.js';
import { parseCsv } from './csv.js';
import { findFileColumn } from './csv-source.js';
import type { Dataset } from './dataset.js';
import type { Folder } from './folder.js';
import { idxLabelsName } from './idx.js';
import type { SampleIterable } from './iterable-source.js';
import { decodeImageInNode } from './node-decode.js';
import { attempt, openFileSource, readFolder } from './node-files.js';
import { iterableDataset, type OpenOptions, openDataset } from './open.js';
import { type PreprocessInput, parsePreprocess } from './preprocess.js';

export { decodeImageInNode } from './node-decode.js';
export { openFileSource, readFolder } from './node-files.js';

/**
 * Opens a file or directory; see openDataset for the formats. Besides those: a module (.js,
 * .mjs, .cjs) that exports an iterable or a function that returns one; IDX images, whose labels
 * are found beside them; a CSV of files and labels. Pictures are decoded by sharp when it is
 * installed. Throws `io`, `invalid-data` and `data-mismatch`.
 *
 * @example
 * const dataset = await openPath('./photos', { ports: session.inputs, preprocess: 'imagenet' });
 */
export async function openPath(path: string, options: OpenOptions = {}): Promise<Dataset> {
  const preprocess = await loadPreprocess(options.preprocess);
  const filled = { ...options, decoder: options.decoder ?? decodeImageInNode, preprocess };
  const info = await attempt(path, () => stat(path));
  if (info.isDirectory()) return openDataset(await readFolder(path), filled);
  if (/^\.[cm]?js$/i.test(extname(path))) {
    return iterableDataset(await importIterable(path), path, filled);
  }
  const labels = /\.(csv|tsv)$/i.test(path) && (await namesFiles(path));
  if (labels) {
    const folder = await readFolder(dirname(path));
    return openDataset({ ...folder, name: path }, { ...filled, labels: basename(path) });
  }
  const idx = await withLabels(path);
  return openDataset(idx ?? (await openFileSource(path)), filled);
}

/**
 * What a user writes for a preprocessing: a preset's name, JSON, or the path of a JSON file
 * (pare's own form or a `preprocessor_config.json`). Throws `usage`, or `io` for a missing file.
 */
export async function loadPreprocess(
  given: PreprocessInput | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  if (typeof given !== 'string' || !/\.json$/i.test(given.trim()))
    return { ...parsePreprocess(given) };
  const text = await attempt(given, () => readFile(given, 'utf8'));
  try {
    return { ...parsePreprocess(JSON.parse(text)) };
  } catch (cause) {
    if (cause instanceof PareError)
      throw new PareError(cause.code, cause.message, { file: given, hint: cause.hint, cause });
    throw new PareError('usage', `preprocess: not valid JSON: ${messageOf(cause)}`, {
      file: given,
      cause,
    });
  }
}

async function importIterable(path: string): Promise<SampleIterable> {
  let module: Record<string, unknown>;
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    throw new PareError('invalid-data', `data: the module does not load: ${messageOf(cause)}`, {
      file: path,
      cause,
    });
  }
  const exported = module.default ?? module.data ?? module.samples;
  const value = typeof exported === 'function' ? await exported() : exported;
  if (
    typeof value === 'object' &&
    value !== null &&
    (Symbol.asyncIterator in value || Symbol.iterator in value)
  ) {
    return value as SampleIterable;
  }
  throw new PareError('invalid-data', 'data: the module exports no iterable of samples', {
    file: path,
    hint: 'export default async function* () { yield { inputs: { x: new Float32Array(4) }, label: 0 }; }',
  });
}

/** True when the CSV's first line names a column of files. */
async function namesFiles(path: string): Promise<boolean> {
  const source = await openFileSource(path);
  const start = new TextDecoder().decode(await source.slice(0, Math.min(4096, source.byteLength)));
  const firstLine = start.split('\n')[0]!;
  if (firstLine.trim() === '') return false;
  const { header } = parseCsv(firstLine, path, () => true);
  return findFileColumn(header ?? []) >= 0;
}

/** IDX images with the labels that MNIST's naming puts beside them, as a folder of the two. */
async function withLabels(path: string): Promise<Folder | undefined> {
  const name = basename(path);
  const labels = idxLabelsName(name);
  if (!/idx\d/i.test(name) || labels === undefined) return undefined;
  const directory = dirname(path);
  const exists = await stat(join(directory, labels)).then(
    (info) => info.isFile(),
    () => false,
  );
  if (!exists) return undefined;
  const files = [name, labels].map((file) => ({
    path: file,
    open: () => openFileSource(join(directory, file)),
  }));
  return { name: path, files };
}

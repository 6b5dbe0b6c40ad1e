/**
 * External data beside a model on disk. Follows symbolic links only as far as they stay in the
 * folder of the model.
 */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { PareError } from '../errors.js';
import type { ByteSource } from './byte-source.js';
import { checkLocation, type ExternalFiles } from './external.js';
import { nodeFileSource } from './node-file-source.js';

export interface NodeExternalFiles {
  readonly files: ExternalFiles;
  /** Closes what was opened. Tensors whose content was not read by then are lost. */
  close(): Promise<void>;
}

/**
 * The external data files of the model at `modelPath`. Where the model itself is a symbolic
 * link, as in the cache of Hugging Face, the folder that it leads to counts as its folder too.
 * Opening throws PareError `invalid-model` for a file that is missing or lies outside.
 * @example
 * const external = nodeExternalFiles('model.onnx');
 * const externals = await openExternals(proto, external.files);
 */
export function nodeExternalFiles(modelPath: string): NodeExternalFiles {
  const opened = new Map<string, ByteSource & { close(): Promise<void> }>();
  return {
    async files(location) {
      checkLocation(location, { file: modelPath });
      const path = await resolveInside(modelPath, location);
      const known = opened.get(path);
      if (known) return known;
      // Before it is opened: opening a named pipe would wait for a writer for ever.
      if (!(await stat(path)).isFile()) {
        throw new PareError('invalid-model', 'external data: not a regular file', { file: path });
      }
      const source = await nodeFileSource(path);
      opened.set(path, source);
      return source;
    },
    async close() {
      const sources = [...opened.values()];
      opened.clear();
      await Promise.all(sources.map((source) => source.close()));
    },
  };
}

/** The file behind a location with all links followed. */
async function resolveInside(modelPath: string, location: string): Promise<string> {
  const folder = dirname(resolve(modelPath));
  const roots = await Promise.all([
    realpath(folder),
    realpath(join(folder, basename(modelPath))).then(dirname, () => folder),
  ]);
  const wanted = join(folder, location);
  const path = await realpath(wanted).catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT' || cause.code === 'ENOTDIR';
    throw new PareError(
      missing ? 'invalid-model' : 'io',
      `external data: the file ${missing ? 'is missing' : 'cannot be opened'}`,
      { file: wanted, hint: 'put it into the folder of the model', cause },
    );
  });
  if (roots.some((root) => path.startsWith(root.endsWith(sep) ? root : root + sep))) return path;
  throw new PareError(
    'invalid-model',
    `external data: location ${JSON.stringify(location)} leads outside of the model's folder`,
    { file: path, hint: 'replace the symbolic link by the file itself' },
  );
}

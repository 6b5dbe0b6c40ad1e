/**
 * Files and directories of this machine as ByteSource and Folder. Follows no link
 * between directories.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { messageOf, PareError } from '../errors.js';
import type { ByteSource } from '../onnx/byte-source.js';
import { nodeFileSource } from '../onnx/node-file-source.js';
import type { Folder, FolderFile } from './folder.js';
import { isJunk } from './folder.js';

/**
 * A file whose handle is open only while it is read: thousands of pictures are listed at once.
 * Throws `io` when the file is missing or may not be read.
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  const { size } = await attempt(path, () => stat(path));
  return {
    name: path,
    byteLength: size,
    async slice(start, end) {
      const file = await nodeFileSource(path);
      try {
        return await file.slice(start, end);
      } finally {
        await file.close();
      }
    },
  };
}

/** Every file below a directory. Symbolic links to files count, links to directories do not. */
export async function readFolder(root: string): Promise<Folder> {
  const files: FolderFile[] = [];
  const visit = async (directory: string): Promise<void> => {
    for (const entry of await attempt(directory, () =>
      readdir(directory, { withFileTypes: true }),
    )) {
      if (isJunk(entry.name)) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) await visit(path);
      else if (entry.isFile() || (entry.isSymbolicLink() && (await isFile(path)))) {
        files.push({
          path: relative(root, path).split(sep).join('/'),
          open: () => openFileSource(path),
        });
      }
    }
  };
  await visit(root);
  return { name: root, files };
}

async function isFile(path: string): Promise<boolean> {
  return (await attempt(path, () => stat(path))).isFile();
}

/** Turns the system's refusals into `io` errors that name the file. */
export async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof PareError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === 'ENOENT' ? 'there is no such file' : messageOf(cause);
    throw new PareError('io', `read: ${reason}`, { file: path, cause });
  }
}

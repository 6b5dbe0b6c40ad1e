/**
 * A set of files without a file system behind it: a directory, a zip, files dropped on a page.
 * Only lists and opens; what the files mean is for others.
 */
import type { ByteSource } from '../onnx/byte-source.js';

export interface FolderFile {
  /** Relative to the folder, with '/' between parts. */
  readonly path: string;
  open(): Promise<ByteSource>;
}

export interface Folder {
  /** For messages: the path or name that the user gave. */
  readonly name: string;
  readonly files: readonly FolderFile[];
  /** The file that the folder came out of, such as a zip: its content is the fingerprint. */
  readonly container?: ByteSource | undefined;
}

export function isFolder(source: ByteSource | Folder): source is Folder {
  return 'files' in source;
}

/** Files that systems leave behind: hidden ones, and macOS' shadow entries in zips. */
export function isJunk(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || part === '__MACOSX');
}

/** Sorts by code units of the path, so that every system numbers the samples alike. */
export function sortFiles(files: readonly FolderFile[]): FolderFile[] {
  return files.filter(({ path }) => !isJunk(path)).sort((a, b) => compare(a.path, b.path));
}

export const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** The last part of a path. */
export const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/**
 * Bytes of a file, read by position when they are asked for: a model larger than memory passes
 * through. The file stays open until `close`.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { messageOf, PareError } from '../errors.js';
import { type ByteSource, checkRange } from './byte-source.js';

/** One read carries at most this: Node and Linux stop at 2 GiB. */
const maxBytes = 2 ** 30;

export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

/**
 * Opens a file for reading. Throws PareError `io` when it is missing, a folder, or not readable.
 *
 * @example
 * const source = await nodeFileSource('model.onnx');
 * try { const model = await loadModel(source); } finally { await source.close(); }
 */
export async function nodeFileSource(path: string): Promise<FileSource> {
  const handle = await open(path, 'r').catch((error) => {
    throw readError(path, error);
  });
  try {
    const info = await handle.stat();
    if (!info.isFile()) {
      const kind = info.isDirectory()
        ? 'this is a folder, not a file'
        : 'this is not a regular file';
      throw new PareError('io', `read: ${kind}`, { file: path });
    }
    return fileSource(path, handle, info.size);
  } catch (error) {
    await handle.close();
    throw readError(path, error);
  }
}

function fileSource(path: string, handle: FileHandle, byteLength: number): FileSource {
  const source: FileSource = {
    name: path,
    byteLength,
    async slice(start, end) {
      checkRange(source, start, end);
      try {
        const bytes = new Uint8Array(end - start);
        await readInto(bytes, handle, start, path);
        return bytes;
      } catch (error) {
        throw readError(path, error);
      }
    },
    close: () => handle.close(),
  };
  return source;
}

async function readInto(
  bytes: Uint8Array,
  handle: FileHandle,
  start: number,
  path: string,
): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    const length = Math.min(maxBytes, bytes.byteLength - at);
    const { bytesRead } = await handle.read(bytes, at, length, start + at);
    if (bytesRead === 0) {
      throw new PareError(
        'io',
        `read: the file ends at byte ${start + at}, ${bytes.byteLength - at} bytes before it should`,
        { file: path, hint: 'it was cut while it was being read; try again' },
      );
    }
    at += bytesRead;
  }
}

function readError(path: string, error: unknown): PareError {
  if (error instanceof PareError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const text = code === undefined ? messageOf(error) : (reasons[code] ?? messageOf(error));
  return new PareError('io', `read: ${text}`, {
    file: path,
    hint: code === 'ENOENT' ? 'check the path; it is relative to the working directory' : undefined,
    cause: error,
  });
}

const reasons: Readonly<Record<string, string>> = Object.freeze({
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EISDIR: 'this is a folder, not a file',
  EACCES: 'no permission to read',
  EPERM: 'no permission to read',
  EMFILE: 'too many open files',
  ELOOP: 'symbolic links that point in a circle',
});

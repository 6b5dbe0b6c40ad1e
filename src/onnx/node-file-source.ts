/**
 * A file on disk as a ByteSource: one open handle, reads by range. Does not read ahead.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { PareError } from '../errors.js';
import { type ByteSource, checkRange } from './byte-source.js';

/** One system call; the kernel takes at most 2 GiB. */
const maxReadBytes = 256 * 1024 * 1024;

/**
 * Opens a file for reading. Throws PareError `io` when it is missing, unreadable or no file, and
 * from `slice` when it became shorter. Close it when nothing is read from it any more.
 * @example const source = await nodeFileSource('model.onnx');
 */
export async function nodeFileSource(
  path: string,
): Promise<ByteSource & { close(): Promise<void> }> {
  const handle = await openFile(path);
  const { size } = await handle.stat();
  const source: ByteSource & { close(): Promise<void> } = {
    name: path,
    byteLength: size,
    async slice(start, end) {
      checkRange(source, start, end);
      return readRange(handle, path, start, end);
    },
    close: () => handle.close(),
  };
  return source;
}

async function openFile(path: string): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    if ((await handle.stat()).isFile()) return handle;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new PareError('io', missing ? 'read: no such file' : 'read: cannot open the file', {
      file: path,
      cause,
    });
  }
  await handle.close();
  throw new PareError('io', 'read: not a regular file', { file: path });
}

async function readRange(
  handle: FileHandle,
  path: string,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(maxReadBytes, bytes.length - at);
    const { bytesRead } = await handle.read(bytes, at, length, start + at).catch((cause) => {
      throw new PareError('io', `read: bytes ${start} to ${end} cannot be read`, {
        file: path,
        cause,
      });
    });
    if (bytesRead === 0) {
      throw new PareError(
        'io',
        `read: the file ended at byte ${start + at}, it was longer before`,
        {
          file: path,
        },
      );
    }
    at += bytesRead;
  }
  return bytes;
}

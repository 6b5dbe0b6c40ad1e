/**
 * Writes pieces of any size to an open file, in few and bounded system calls: many small pieces go
 * together, a large one goes in slices.
 */
import type { FileHandle } from 'node:fs/promises';
import { throwIfAborted } from '../errors.js';

/** One call to the system carries at most this: Linux itself stops at 2 GiB. */
const maxBytes = 256 * 2 ** 20;
/** IOV_MAX of Linux and macOS. */
const maxPieces = 1024;

/** Appends the parts to the file. The signal is looked at between two calls. */
export async function writeParts(
  handle: FileHandle,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal?: AbortSignal | undefined,
): Promise<void> {
  let batch: Uint8Array[] = [];
  let batchBytes = 0;
  const flush = async () => {
    throwIfAborted(signal);
    await writeFully(handle, batch);
    batch = [];
    batchBytes = 0;
  };
  for await (const part of parts) {
    for (let at = 0; at < part.byteLength; ) {
      const piece = part.subarray(at, at + maxBytes - batchBytes);
      batch.push(piece);
      batchBytes += piece.byteLength;
      at += piece.byteLength;
      if (batchBytes >= maxBytes || batch.length >= maxPieces) await flush();
    }
  }
  if (batch.length > 0) await flush();
}

/** The system may take less than it was given (a full disk, a signal): goes on with the rest. */
async function writeFully(handle: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  let rest = [...pieces];
  while (rest.length > 0) {
    let { bytesWritten } = await handle.writev(rest);
    if (bytesWritten === 0) {
      throw Object.assign(new Error('the system wrote nothing'), { code: 'ENOSPC' });
    }
    let whole = 0;
    while (whole < rest.length && bytesWritten >= rest[whole]!.byteLength) {
      bytesWritten -= rest[whole]!.byteLength;
      whole++;
    }
    rest = rest.slice(whole);
    if (bytesWritten > 0) rest[0] = rest[0]!.subarray(bytesWritten);
  }
}

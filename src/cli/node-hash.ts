/**
 * SHA-256 of files on disk, streamed.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { dirname, relative } from 'node:path';
import type { FileStamp } from '../optimize/receipt.js';

/** Size and hash of a file and the files that belong to it, the path relative to the receipt's. */
export async function stampOf(files: readonly string[], receipt: string): Promise<FileStamp> {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const file of files) {
    for await (const chunk of createReadStream(file)) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  }
  return { path: relative(dirname(receipt), files[0]!), bytes, sha256: hash.digest('hex') };
}

/** The same over content that is about to be written. */
export function stampOfParts(
  parts: Iterable<Uint8Array>,
  file: string,
  receipt: string,
): FileStamp {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const part of parts) {
    hash.update(part);
    bytes += part.byteLength;
  }
  return { path: relative(dirname(receipt), file), bytes, sha256: hash.digest('hex') };
}

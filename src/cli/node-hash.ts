/**
 * SHA-256 of a model's files: those on disk, streamed, and those that are about to be written. The
 * two agree for the same content, so that a receipt can be checked.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { dirname, relative } from 'node:path';
import { ioError } from '../disk/io-error.js';
import type { OutputFile } from '../disk/write-file.js';
import type { FileStamp } from '../optimize/receipt.js';

/**
 * Size and hash of a model's file followed by its external data files in the order of their names.
 * The path is relative to the receipt's folder. Throws `io` for a file that cannot be read.
 * @param files the model's file first
 */
export async function stampOf(files: readonly string[], receipt: string): Promise<FileStamp> {
  return stamp(
    files.map((path) => ({ path, parts: readParts(path) })),
    files[0]!,
    receipt,
  );
}

/** The same over content that is about to be written; `model` is the path of the model's file. */
export async function stampOfOutput(
  files: readonly OutputFile[],
  model: string,
  receipt: string,
): Promise<FileStamp> {
  return stamp(files, model, receipt);
}

async function stamp(
  files: readonly OutputFile[],
  model: string,
  receipt: string,
): Promise<FileStamp> {
  const isModel = ({ path }: OutputFile) => path === model;
  const data = files.filter((file) => !isModel(file));
  data.sort((a, b) => (a.path < b.path ? -1 : 1));
  const hash = createHash('sha256');
  let bytes = 0;
  for (const { parts } of [...files.filter(isModel), ...data]) {
    for await (const part of parts) {
      hash.update(part);
      bytes += part.byteLength;
    }
  }
  // Slashes on every system, so that a receipt can move between them.
  const path = relative(dirname(receipt), model).replaceAll('\\', '/');
  return { path, bytes, sha256: hash.digest('hex') };
}

async function* readParts(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw ioError('read', path, error);
  }
}

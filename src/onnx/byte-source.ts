/**
 * Where bytes come from: memory, a Blob, a file, an HTTP range. Readers plan the ranges they
 * need and ask for those only, so that a model larger than memory can pass through.
 */
import { PareError } from '../errors.js';

export interface ByteSource {
  /** For messages: a path, a URL, or a word such as 'memory'. */
  readonly name: string;
  readonly byteLength: number;
  /** The bytes [start, end). Throws an `io` PareError when they are not there. */
  slice(start: number, end: number): Promise<Uint8Array>;
  /** The whole content when it is in memory already: lets readers avoid copies. */
  readonly memory?: Uint8Array | undefined;
}

/** Throws when [start, end) is not inside the source. */
export function checkRange(source: ByteSource, start: number, end: number): void {
  if (!(start >= 0 && start <= end && end <= source.byteLength)) {
    throw new PareError(
      'io',
      `read: bytes ${start} to ${end} were asked of a source of ${source.byteLength} bytes`,
      { file: source.name },
    );
  }
}

/** @example bytesSource(new Uint8Array([1, 2, 3])).slice(1, 3) // a view of bytes 2 and 3 */
export function bytesSource(given: Uint8Array, name = 'memory'): ByteSource {
  // The slice of a Buffer of Node is no copy, as readers take that of an array to be.
  const bytes =
    given.constructor === Uint8Array
      ? given
      : new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  const source: ByteSource = {
    name,
    byteLength: bytes.byteLength,
    memory: bytes,
    async slice(start, end) {
      checkRange(source, start, end);
      return bytes.subarray(start, end);
    },
  };
  return source;
}

/** A Blob or a browser's File. */
export function blobSource(blob: Blob, name = 'blob'): ByteSource {
  const source: ByteSource = {
    name: 'name' in blob && typeof blob.name === 'string' ? blob.name : name,
    byteLength: blob.size,
    async slice(start, end) {
      checkRange(source, start, end);
      return new Uint8Array(await blob.slice(start, end).arrayBuffer());
    },
  };
  return source;
}

/** Everything a source holds. Reads in one go: for files that are known to be small enough. */
export async function readAll(source: ByteSource): Promise<Uint8Array> {
  return source.memory ?? source.slice(0, source.byteLength);
}

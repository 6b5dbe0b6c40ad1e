/**
 * The compressed forms of output files, made while they are written. Their sizes are those that
 * measure/size.ts tells for the same codecs and qualities.
 */
import { pipeline, Readable, type Transform } from 'node:stream';
import { constants, createBrotliCompress, createGzip } from 'node:zlib';
import type { OutputFile, Parts } from './write-file.js';

/** Brotli from 10 on takes minutes for a model of 100 MB; see measure/node-compress.ts. */
export const writtenBrotliQuality = 9;

const codecs: Readonly<Record<string, () => Transform>> = Object.freeze({
  '.gz': () => createGzip(),
  '.br': () =>
    createBrotliCompress({
      params: {
        [constants.BROTLI_PARAM_QUALITY]: writtenBrotliQuality,
        [constants.BROTLI_PARAM_SIZE_HINT]: 2 ** 30,
      },
    }),
});

/** The names that `compressed` gives to the forms of a file. */
export function compressedPaths(path: string): string[] {
  return Object.keys(codecs).map((suffix) => path + suffix);
}

/** One file per codec, beside the file; the parts must be readable more than once. */
export function compressed({ path, parts }: OutputFile): OutputFile[] {
  return Object.entries(codecs).map(([suffix, codec]) => ({
    path: path + suffix,
    parts: through(parts, codec),
  }));
}

function through(parts: Parts, codec: () => Transform): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      // A failing source destroys the codec, and whoever reads it sees the error.
      const stream = pipeline(Readable.from(parts), codec(), () => {});
      return stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    },
  };
}

/**
 * Compressed sizes by Node's zlib: brotli, which browsers cannot make.
 *
 * Quality, in percent of the file and MB/s of one core:
 *
 *                       5            6            9            11
 *   MobileNetV2 float   69.97 | 43   69.90 | 19   69.46 | 6    67.05 | 0.5
 *   MobileNetV2 int8    78.34 | 48   78.33 | 27   78.34 | 14   77.84 | 0.5
 *   stories260K float   46.11 | 128  46.11 | 108  45.68 | 36   44.88 | 0.7
 *
 * Weights have little that a longer search finds, so 5, what servers use on the fly, is the
 * default; 11 takes minutes for a model of 100 MB and is there for exact figures.
 */
import { finished } from 'node:stream/promises';
import { constants, createBrotliCompress } from 'node:zlib';
import { PareError } from '../errors.js';
import type { ByteCounter } from './compress.js';

export const defaultBrotliQuality = 5;

const longStream = 2 ** 30;

/**
 * Counts brotli bytes at a quality from 0 to 11.
 * @example await sizeOf(model, { brotli: () => brotliCounter() })
 */
export function brotliCounter(quality: number = defaultBrotliQuality): ByteCounter {
  if (!(Number.isInteger(quality) && quality >= 0 && quality <= 11)) {
    throw new PareError(
      'usage',
      `size: brotli quality is ${quality}, not a whole number from 0 to 11`,
    );
  }
  const codec = createBrotliCompress({
    params: {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      // Without it a stream is taken for a short one, and comes out 2 % larger than in one piece.
      [constants.BROTLI_PARAM_SIZE_HINT]: longStream,
    },
  });
  let size = 0;
  codec.on('data', (piece: Uint8Array) => {
    size += piece.byteLength;
  });
  const done = finished(codec);
  done.catch(() => {});
  return {
    async write(bytes) {
      if (codec.write(bytes)) return;
      await Promise.race([new Promise((resolve) => codec.once('drain', resolve)), done]);
    },
    async end() {
      codec.end();
      await done;
      return size;
    },
  };
}

/**
 * The decoder that works everywhere: JPEG by jpeg-js, PNG by fast-png, in plain JavaScript.
 * Slower than sharp or a browser's own (about 200 ms against 12 ms for 2.5 megapixels of JPEG),
 * with chroma upsampled by repetition, so that JPEG pixels differ from libjpeg's by about 1 of 255.
 */
import { convertIndexedToRgb, type DecodedPng, decode as decodePng } from 'fast-png';
import jpeg from 'jpeg-js';
import { messageOf, PareError } from '../errors.js';
import type { Image, ImageDecoder } from './image.js';
import { readImageHeader } from './image-header.js';

/** Decodes JPEG and PNG; any other format is `unsupported`. 16-bit PNG keeps the upper 8 bits. */
export const decodeImage: ImageDecoder = async (bytes, name) => {
  const header = readImageHeader(bytes, name);
  if (header === undefined) throw unknownFormat(bytes, name);
  try {
    if (header.format === 'png') return pngImage(decodePng(bytes, { checkCrc: true }));
    const options = { useTArray: true, formatAsRGBA: false, tolerantDecoding: false } as const;
    // The header has been held against the file's size already: the decoder need not guess.
    const limits = { maxResolutionInMP: 101, maxMemoryUsageInMB: 4096 };
    const { width, height, data } = jpeg.decode(bytes, { ...options, ...limits });
    return { width, height, channels: 3, data };
  } catch (cause) {
    throw undecodable(header.format, name, cause);
  }
};

/** The error for a file that is no image or needs sharp. */
export function unknownFormat(bytes: Uint8Array, name: string): PareError {
  const start = Array.from(bytes.subarray(0, 8), (b) => b.toString(16).padStart(2, '0')).join(' ');
  return new PareError(
    'unsupported',
    `data: neither JPEG nor PNG (${bytes.length} bytes, starts with ${start})`,
    { file: name, hint: 'for WebP, AVIF, GIF or TIFF run: npm install sharp' },
  );
}

export function undecodable(format: string, name: string, cause: unknown): PareError {
  return new PareError('invalid-data', `data: unreadable ${format} image: ${messageOf(cause)}`, {
    file: name,
    cause,
  });
}

function pngImage(png: DecodedPng): Image {
  const { width, height, depth } = png;
  if (png.palette) {
    return { width, height, channels: png.palette[0]!.length, data: convertIndexedToRgb(png) };
  }
  const channels = png.channels;
  if (depth === 16) {
    return { width, height, channels, data: Uint8Array.from(png.data, (x) => x >> 8) };
  }
  const data = depth === 8 ? new Uint8Array(png.data) : unpackGray(png);
  return { width, height, channels, data };
}

/** Gray of 1, 2 or 4 bits: rows are padded to whole bytes, values spread over 0..255. */
function unpackGray({ width, height, depth, data }: DecodedPng): Uint8Array {
  const out = new Uint8Array(width * height);
  const rowBytes = Math.ceil((width * depth) / 8);
  const mask = (1 << depth) - 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const byte = data[y * rowBytes + (bit >> 3)]!;
      out[y * width + x] = (((byte >> (8 - depth - (bit & 7))) & mask) * 255) / mask;
    }
  }
  return out;
}

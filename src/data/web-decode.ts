/**
 * The browser's own decoder behind the same interface: faster than plain JavaScript and on
 * more formats. EXIF is cut off first, because browsers rotate by it and the others do not.
 */
import { PareError } from '../errors.js';
import { undecodable } from './decode-image.js';
import type { ImageDecoder } from './image.js';
import { readImageHeader, sniffImage } from './image-header.js';

/** Decodes with createImageBitmap; runs in a page or a worker. Gives RGB with alpha. */
export const decodeImageInBrowser: ImageDecoder = async (bytes, name) => {
  if (typeof createImageBitmap === 'undefined' || typeof OffscreenCanvas === 'undefined') {
    throw new PareError('unsupported', 'data: this runtime has no createImageBitmap', {
      hint: 'use decodeImage, which needs no browser',
    });
  }
  readImageHeader(bytes, name);
  const isJpeg = sniffImage(bytes) === 'jpeg';
  const blob = new Blob([new Uint8Array(isJpeg ? withoutExif(bytes) : bytes)]);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      colorSpaceConversion: 'none',
      premultiplyAlpha: 'none',
    });
  } catch (cause) {
    throw undecodable(sniffImage(bytes) ?? 'unknown', name, cause);
  }
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new PareError('engine', 'data: the browser gave no 2d canvas');
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, channels: 4, data: new Uint8Array(data.buffer) };
};

/** The JPEG without its APP1 segments (EXIF and XMP), where the orientation stands. */
export function withoutExif(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  let length = 2;
  let at = 2;
  out.set(bytes.subarray(0, 2));
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const end = at + 2 + bytes[at + 2]! * 256 + bytes[at + 3]!;
    if (bytes[at + 1] !== 0xe1) {
      out.set(bytes.subarray(at, end), length);
      length += Math.min(end, bytes.length) - at;
    }
    at = end;
  }
  const rest = bytes.subarray(at);
  out.set(rest, length);
  return out.subarray(0, length + rest.length);
}

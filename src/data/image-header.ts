/**
 * What an image file says of itself in its first bytes: format and size. Decoders ask this
 * first, so that a small file cannot make them allocate a huge picture. Decodes nothing.
 */
import { PareError } from '../errors.js';

export interface ImageHeader {
  readonly format: 'jpeg' | 'png';
  readonly width: number;
  readonly height: number;
}

/** Largest picture that is decoded, in pixels. */
const maxPixels = 100e6;
/** Deflate, the packing of PNG, reaches 1032 to 1 at most. */
const maxDeflateRatio = 1032;
/** A flat progressive JPEG spends about one bit on a block of 16 by 16 pixels. */
const maxJpegPixelsPerByte = 2048;

/** Extensions of files that are taken as images. */
export const imageExtensions = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic|heif|jxl|ppm|pgm)$/i;

/** The format by magic bytes, or undefined for any that is neither JPEG nor PNG. */
export function sniffImage(bytes: Uint8Array): 'jpeg' | 'png' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg';
  const png = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  return png.every((byte, i) => bytes[i] === byte) ? 'png' : undefined;
}

/** Throws `invalid-data` when a JPEG or PNG is cut short, empty, or larger than plausible. */
export function readImageHeader(bytes: Uint8Array, name: string): ImageHeader | undefined {
  const format = sniffImage(bytes);
  if (format === undefined) return undefined;
  const size = format === 'png' ? pngSize(bytes) : jpegSize(bytes);
  if (size === undefined) throw invalid(`is a ${format} file that ends before its picture`, name);
  const pixels = size.width * size.height;
  if (pixels === 0) throw invalid(`is a ${format} file of ${size.width}x${size.height}`, name);
  if (pixels > maxPixels || pixels > size.mostPixels) {
    const said = `says that it is ${size.width}x${size.height} pixels in ${bytes.length} bytes`;
    throw invalid(`${said}; the limit is 100 million and what such a file can hold`, name);
  }
  return { format, width: size.width, height: size.height };
}

interface Size {
  readonly width: number;
  readonly height: number;
  /** What a file of this length can hold at the very most. */
  readonly mostPixels: number;
}

function pngSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 33) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bitDepth = bytes[24]!;
  // Colour types: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha.
  const channels = [1, 0, 3, 1, 2, 0, 4][bytes[25]!] || 1;
  const mostPixels = (bytes.length * maxDeflateRatio * 8) / (bitDepth * channels || 1);
  return { width: view.getUint32(16), height: view.getUint32(20), mostPixels };
}

/** Walks the segments to the frame header (SOF0 to SOF15 without DHT, JPG and DAC). */
function jpegSize(bytes: Uint8Array): Size | undefined {
  // Without an end-of-image marker the picture is cut; decoders would fill it up with gray.
  if (findEndOfImage(bytes) < 0) return undefined;
  let at = 2;
  while (at + 9 < bytes.length) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) at += 2;
    else {
      const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (isFrame) {
        return {
          height: bytes[at + 5]! * 256 + bytes[at + 6]!,
          width: bytes[at + 7]! * 256 + bytes[at + 8]!,
          mostPixels: bytes.length * maxJpegPixelsPerByte,
        };
      }
      at += 2 + bytes[at + 2]! * 256 + bytes[at + 3]!;
    }
  }
  return undefined;
}

function findEndOfImage(bytes: Uint8Array): number {
  for (let i = bytes.length - 2; i > 0; i--) {
    if (bytes[i] === 0xff && bytes[i + 1] === 0xd9) return i;
    // The start of the scan comes before its end: a thumbnail's end does not count.
    if (bytes[i] === 0xff && bytes[i + 1] === 0xda) return -1;
  }
  return -1;
}

function invalid(what: string, file: string): PareError {
  return new PareError('invalid-data', `data: the image ${what}`, { file });
}

/**
 * Decoded pictures: their type, the decoder's interface, colours and cutting. No file formats.
 */
import { PareError } from '../errors.js';

/** Pixels in rows from the top, channels interleaved (HWC). */
export interface Image<Data extends Uint8Array | Float32Array = Uint8Array> {
  readonly width: number;
  readonly height: number;
  /** 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. */
  readonly channels: number;
  readonly data: Data;
}

/**
 * Turns the bytes of an image file into pixels: no rotation by EXIF, no colour profile applied,
 * so that every decoder gives the same. Throws `invalid-data` or `unsupported`.
 */
export type ImageDecoder = (bytes: Uint8Array, name: string) => Promise<Image>;

/** Drops alpha; then RGB to luma or gray to RGB where the other is wanted. */
export function toColor(image: Image, wanted: 'RGB' | 'gray'): Image {
  const { width, height, channels, data } = image;
  const to = wanted === 'gray' ? 1 : 3;
  if (channels === to) return image;
  const count = width * height;
  const out = new Uint8Array(count * to);
  for (let i = 0; i < count; i++) {
    const at = i * channels;
    const isColor = channels >= 3;
    if (to === 1) out[i] = isColor ? luma(data[at]!, data[at + 1]!, data[at + 2]!) : data[at]!;
    else for (let c = 0; c < 3; c++) out[i * 3 + c] = data[isColor ? at + c : at]!;
  }
  return { width, height, channels: to, data: out };
}

/** ITU-R 601-2 luma in 16-bit fixed point, the rounding that Pillow's mode "L" documents. */
function luma(r: number, g: number, b: number): number {
  return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
}

/**
 * The [height, width] around the centre. An odd rest goes to the even side, as torchvision's
 * CenterCrop rounds. Throws `data-mismatch` when the image is smaller than that.
 */
export function centerCrop<Data extends Uint8Array | Float32Array>(
  image: Image<Data>,
  [height, width]: readonly [number, number],
  name: string,
): Image<Data> {
  if (height === image.height && width === image.width) return image;
  if (height > image.height || width > image.width) {
    throw new PareError(
      'data-mismatch',
      `data: cannot crop ${height}x${width} out of ${name}, which is ${image.height}x${image.width} (height x width)`,
      { hint: `set "resize" to ${Math.max(height, width)} or more` },
    );
  }
  const top = roundHalfEven((image.height - height) / 2);
  const left = roundHalfEven((image.width - width) / 2);
  const row = width * image.channels;
  const data = new (image.data.constructor as new (length: number) => Data)(height * row);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * image.channels;
    data.set(image.data.subarray(from, from + row), y * row);
  }
  return { width, height, channels: image.channels, data };
}

export function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

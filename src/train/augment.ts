/**
 * Changes to training pictures that keep their class: shifted, cropped, mirrored. Seeded by run,
 * epoch and sample, so that a resumed run sees what the uninterrupted one would have seen.
 * Works on preprocessed samples; pixels that a shift uncovers become the value of a black or mean
 * pixel after preprocessing only where that is 0, so the border is repeated instead.
 */
import * as z from 'zod/mini';
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { createRandom } from '../random.js';

export const augmentOptions = z.object({
  /** Mirror left and right, in half of the cases. */
  flip: z._default(z.boolean(), false),
  /** Shift by up to so many pixels in each direction, the border repeated. */
  shift: z._default(z.int().check(z.nonnegative()), 0),
  /** Which way. Sounds are pictures of time and frequency, and only time may move. */
  shiftAlong: z._default(z.enum(['both', 'height', 'width']), 'both'),
  /** Where the channels are in a sample of three dims. */
  layout: z._default(z.enum(['NCHW', 'NHWC']), 'NCHW'),
});

export type AugmentOptions = z.output<typeof augmentOptions>;

/** True when the options leave every sample as it is. */
export function changesNothing({ flip, shift }: AugmentOptions): boolean {
  return !flip && shift === 0;
}

/**
 * A changed copy of one picture of dims [C,H,W] or [H,W,C].
 *
 * @param seed differs from sample to sample and from epoch to epoch: see `sampleSeed`
 * @throws PareError `data-mismatch` for what is no picture of 32-bit floats or bytes
 * @example augmentImage(sample, augmentOptions.parse({ flip: true, shift: 4 }), sampleSeed(0, 3, 17))
 */
export function augmentImage(image: HostTensor, options: AugmentOptions, seed: number): HostTensor {
  const { dims, data } = image;
  const isPixels = data instanceof Float32Array || data instanceof Uint8Array;
  if (dims.length !== 3 || !isPixels) {
    throw new PareError(
      'data-mismatch',
      `augment: a sample is ${image.dataType} [${dims.join(',')}], not a picture of three dims`,
      { hint: 'leave out flip and shift for data that are no pictures' },
    );
  }
  const planar = options.layout === 'NCHW';
  const [channels, height, width] = (planar ? dims : [dims[2], dims[0], dims[1]]) as [
    number,
    number,
    number,
  ];
  const random = createRandom(seed);
  const mirrored = options.flip && random.next() < 0.5;
  const range = 2 * options.shift + 1;
  const [rows, columns] = [random.int(range) - options.shift, random.int(range) - options.shift];
  const down = options.shiftAlong === 'width' ? 0 : rows;
  const right = options.shiftAlong === 'height' ? 0 : columns;
  const out = new (data.constructor as Float32ArrayConstructor)(data.length);
  // Strides of a channel, a row and a pixel.
  const [c, h, w] = planar ? [height * width, width, 1] : [1, width * channels, channels];
  for (let y = 0; y < height; y++) {
    const fromY = clamp(y - down, height);
    for (let x = 0; x < width; x++) {
      const straight = clamp(x - right, width);
      const fromX = mirrored ? width - 1 - straight : straight;
      const to = y * h + x * w;
      const from = fromY * h + fromX * w;
      for (let channel = 0; channel < channels; channel++) {
        out[to + channel * c] = data[from + channel * c]!;
      }
    }
  }
  return { ...image, data: out };
}

/** One seed per run, epoch and sample (a multiplicative hash after Knuth, TAOCP 6.4). */
export function sampleSeed(seed: number, epoch: number, sample: number): number {
  const mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(epoch + 1, 0xc2b2ae35);
  return (Math.imul(mixed ^ (mixed >>> 15), 0x27d4eb2f) ^ Math.imul(sample + 1, 0x9e3779b1)) >>> 0;
}

function clamp(at: number, size: number): number {
  return Math.min(size - 1, Math.max(0, at));
}

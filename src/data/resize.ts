/**
 * Resizes pictures as Pillow and torchvision do: separable filters, widened when shrinking
 * (antialias), 8-bit pixels in 22-bit fixed point with rounding between the two passes. The same
 * integers come out in Node and in every browser, where a canvas would differ.
 * Facts from https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters and the
 * filters' definitions: triangle, Keys cubic with a = -0.5, Lanczos with 3 lobes.
 */
import type { Image } from './image.js';
import type { Interpolation } from './preprocess.js';

interface Filter {
  /** Half the width, in source pixels at scale 1. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const filters: Readonly<Record<Exclude<Interpolation, 'nearest'>, Filter>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      const a = -0.5;
      const t = Math.abs(x);
      if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * The [height, width] of an image after "shorter side to `side`", aspect kept, the longer side
 * rounded down as torchvision does. A pair is returned as it is.
 */
export function resizedSize(
  image: { readonly width: number; readonly height: number },
  size: number | readonly [number, number],
): readonly [number, number] {
  if (typeof size !== 'number') return size;
  const { width, height } = image;
  return width <= height
    ? [Math.max(size, Math.floor((size * height) / width)), size]
    : [size, Math.max(size, Math.floor((size * width) / height))];
}

/**
 * Resizes to [height, width]; returns the image itself when it has that size. Bytes stay bytes
 * (rounded, clamped), floats stay floats.
 */
export function resizeImage<Data extends Uint8Array | Float32Array>(
  image: Image<Data>,
  [height, width]: readonly [number, number],
  interpolation: Interpolation = 'bilinear',
  antialias = true,
): Image<Data> {
  if (height === image.height && width === image.width) return image;
  if (interpolation === 'nearest') return nearest(image, height, width);
  const filter = filters[interpolation];
  const wide = width === image.width ? image : resample(image, width, 'x', filter, antialias);
  return height === image.height ? wide : resample(wide, height, 'y', filter, antialias);
}

function nearest<Data extends Uint8Array | Float32Array>(
  image: Image<Data>,
  height: number,
  width: number,
): Image<Data> {
  const { channels } = image;
  const data = allocate(image, height * width * channels);
  const columns = Uint32Array.from({ length: width }, (_, x) =>
    Math.floor(((x + 0.5) * image.width) / width),
  );
  let at = 0;
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * image.height) / height) * image.width;
    for (let x = 0; x < width; x++) {
      const from = (row + columns[x]!) * channels;
      for (let c = 0; c < channels; c++) data[at++] = image.data[from + c]!;
    }
  }
  return { width, height, channels, data };
}

/** For each output position: the first source position and the weights from there on. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Float64Array;
  readonly stride: number;
}

function computeTaps(from: number, to: number, filter: Filter, antialias: boolean): Taps {
  const scale = from / to;
  const filterScale = antialias ? Math.max(scale, 1) : 1;
  const support = filter.support * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Float64Array(to * stride);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    let sum = 0;
    for (let k = 0; k < end - start; k++) {
      const weight = filter.weight((k + start - center + 0.5) / filterScale);
      weights[i * stride + k] = weight;
      sum += weight;
    }
    // At a border part of the filter is cut off: what is left must still add up to one.
    for (let k = 0; k < end - start; k++) weights[i * stride + k]! /= sum;
    first[i] = start;
    count[i] = end - start;
  }
  return { first, count, weights, stride };
}

const fixedPointBits = 22;

function resample<Data extends Uint8Array | Float32Array>(
  image: Image<Data>,
  to: number,
  axis: 'x' | 'y',
  filter: Filter,
  antialias: boolean,
): Image<Data> {
  const { channels } = image;
  const width = axis === 'x' ? to : image.width;
  const height = axis === 'y' ? to : image.height;
  const taps = computeTaps(axis === 'x' ? image.width : image.height, to, filter, antialias);
  const data = allocate(image, width * height * channels);
  const isBytes = image.data instanceof Uint8Array;
  const weights: Float64Array | Int32Array = isBytes ? toFixedPoint(taps.weights) : taps.weights;
  const start = isBytes ? 1 << (fixedPointBits - 1) : 0;
  const step = axis === 'x' ? channels : image.width * channels;
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = axis === 'x' ? x : y;
      const origin = axis === 'x' ? y * image.width * channels : x * channels;
      const from = origin + taps.first[i]! * step;
      const weightAt = i * taps.stride;
      for (let c = 0; c < channels; c++) {
        let sum = start;
        for (let k = 0, p = from + c; k < taps.count[i]!; k++, p += step) {
          sum += image.data[p]! * weights[weightAt + k]!;
        }
        data[at++] = isBytes ? clampByte(sum >> fixedPointBits) : sum;
      }
    }
  }
  return { width, height, channels, data };
}

function toFixedPoint(weights: Float64Array): Int32Array {
  return Int32Array.from(weights, (w) =>
    Math.trunc(w * (1 << fixedPointBits) + (w < 0 ? -0.5 : 0.5)),
  );
}

const clampByte = (x: number) => Math.min(Math.max(x, 0), 255);

function allocate<Data extends Uint8Array | Float32Array>(image: Image<Data>, length: number) {
  return new (image.data.constructor as new (length: number) => Data)(length);
}

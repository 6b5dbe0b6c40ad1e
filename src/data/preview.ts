/**
 * A small picture of a sample for people: an image back in its colours, or the curve of a signal.
 * Undoes the preprocessing as far as it is known; decides nothing and measures nothing.
 */
import { encode } from 'fast-png';
import type { HostTensor } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { dataTypes } from '../onnx/data-type.js';
import type { Sample } from './dataset.js';
import type { Image } from './image.js';
import type { Preprocess } from './preprocess.js';

/** Plain JSON. */
export type Preview =
  | {
      readonly kind: 'image';
      /** A PNG as a data URL. */
      readonly url: string;
      readonly width: number;
      readonly height: number;
    }
  /** Lowest and highest value of equal stretches of a signal, in [-1, 1]. */
  | {
      readonly kind: 'wave';
      readonly low: number[];
      readonly high: number[];
      readonly length: number;
    }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'none' };

type Scaling = Pick<Preprocess, 'scale' | 'mean' | 'std' | 'colorOrder'>;

/** Longest side of a picture. */
const mostPixels = 96;
const stretches = 120;
/** An axis shorter than this is no side of a picture. */
const leastSide = 8;

/** Of the first input that can be shown. @param scaling what was done to the raw values */
export function previewOf(sample: Sample, scaling: Scaling = {}): Preview {
  for (const tensor of Object.values(sample.inputs)) {
    const { kind } = dataTypes[tensor.dataType];
    if (kind !== 'float' && tensor.dataType !== 'uint8') continue;
    const preview = pictureOf(tensor, scaling) ?? waveOf(tensor);
    if (preview) return preview;
  }
  return { kind: 'none' };
}

interface Planes {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  at(channel: number, y: number, x: number): number;
}

function pictureOf(tensor: HostTensor, scaling: Scaling): Preview | undefined {
  const planes = planesOf(tensor);
  if (!planes) return undefined;
  const raw = undo(planes, scaling) ?? stretch(planes);
  const shrink = Math.max(1, Math.max(planes.width, planes.height) / mostPixels);
  const [width, height] = [planes.width, planes.height].map((side) =>
    Math.max(1, Math.floor(side / shrink)),
  ) as [number, number];
  const data = new Uint8Array(width * height * planes.channels);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < planes.channels; channel++) {
        const area = meanOf(
          raw,
          channel,
          [y, y + 1, x, x + 1].map((edge) => edge * shrink),
        );
        data[at++] = Math.round(Math.min(255, Math.max(0, area)));
      }
    }
  }
  return picture({ width, height, channels: planes.channels, data });
}

/** Pixels of 8 bits as a PNG in a data URL. */
export function picture({ width, height, channels, data }: Image): Preview {
  const png = encode({ width, height, data, channels, depth: 8 });
  return { kind: 'image', url: `data:image/png;base64,${base64(png)}`, width, height };
}

/** [c,h,w], [h,w,c] or [h,w] with 1 or 3 channels, also behind axes of 1. */
function planesOf({ dims, data, dataType }: HostTensor): Planes | undefined {
  const sides = dims.length > 3 ? dims.slice(dims.findIndex((dim) => dim > 1)) : dims;
  const numbers = float32Of({ dims, data, dataType });
  const isSide = (dim: number | undefined) => dim !== undefined && dim >= leastSide;
  const isColor = (dim: number | undefined) => dim === 1 || dim === 3;
  const [a, b, c] = sides;
  if (sides.length === 3 && isColor(a) && isSide(b) && isSide(c)) {
    const at: Planes['at'] = (channel, y, x) => numbers[(channel * b! + y) * c! + x]!;
    return { channels: a!, height: b!, width: c!, at };
  }
  if (sides.length === 3 && isSide(a) && isSide(b) && isColor(c)) {
    const at: Planes['at'] = (channel, y, x) => numbers[(y * b! + x) * c! + channel]!;
    return { channels: c!, height: a!, width: b!, at };
  }
  if (sides.length === 2 && isSide(a) && isSide(b)) {
    return { channels: 1, height: a!, width: b!, at: (_, y, x) => numbers[y * b! + x]! };
  }
  return undefined;
}

/** Raw values 0..255 by the preprocessing; undefined where the result is clearly no picture. */
function undo(planes: Planes, { scale = 1, mean, std, colorOrder }: Scaling): Planes | undefined {
  const of = (list: number | readonly number[] | undefined, channel: number, none: number) =>
    typeof list === 'number' ? list : (list?.[channel] ?? none);
  const at: Planes['at'] = (channel, y, x) => {
    const from = colorOrder === 'BGR' ? planes.channels - 1 - channel : channel;
    return (planes.at(from, y, x) * of(std, channel, 1) + of(mean, channel, 0)) / scale;
  };
  const { low, high } = range({ ...planes, at });
  return low >= -1 && high <= 256 && high > 8 ? { ...planes, at } : undefined;
}

/** From the least to the largest value. */
function stretch(planes: Planes): Planes {
  const { low, high } = range(planes);
  const factor = high > low ? 255 / (high - low) : 0;
  return { ...planes, at: (channel, y, x) => (planes.at(channel, y, x) - low) * factor };
}

function range({ channels, height, width, at }: Planes): { low: number; high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const value = at(channel, y, x);
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
  }
  return { low, high };
}

function meanOf(planes: Planes, channel: number, edges: readonly number[]): number {
  const [top, bottom, left, right] = edges.map(Math.floor) as [number, number, number, number];
  let [sum, count] = [0, 0];
  for (let y = top; y < Math.min(planes.height, Math.max(bottom, top + 1)); y++) {
    for (let x = left; x < Math.min(planes.width, Math.max(right, left + 1)); x++) {
      sum += planes.at(channel, y, x);
      count++;
    }
  }
  return sum / count;
}

/** The outline of a signal: peaks stay. */
function waveOf(tensor: HostTensor): Preview | undefined {
  const numbers = float32Of(tensor);
  const { length } = numbers;
  if (length < stretches) return undefined;
  const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const ends = Array.from({ length: stretches }, (_, at) => {
    const edge = (place: number) => Math.floor((place * length) / stretches);
    const part = numbers.subarray(edge(at), edge(at + 1));
    return [Math.min, Math.max].map((pick) =>
      Number((part.reduce((a, b) => pick(a, b)) / largest).toPrecision(3)),
    );
  });
  return { kind: 'wave', low: ends.map(([l]) => l!), high: ends.map(([, h]) => h!), length };
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/**
 * What a sample looks like to the model, small enough to show: pictures as bytes, ids of tokens, the
 * outline of a signal. Reads what is fed, since the file it came from may be of any kind.
 */
import type { Feeds, HostTensor } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import type { Preview } from './explanation.js';

const mostPixels = 48;
const mostIds = 1024;
const stretches = 120;

/** Of the first input that can be shown; feeds are a batch of one sample. */
export function previewOf(feeds: Feeds): Preview | null {
  for (const tensor of Object.values(feeds)) {
    const preview = asImage(tensor) ?? asTokens(tensor) ?? asSignal(tensor);
    if (preview) return preview;
  }
  return null;
}

/** [1, channels, height, width] or [1, height, width, channels], 1 or 3 channels. */
function asImage(tensor: HostTensor): Preview | undefined {
  const [, a, b, c, ...more] = tensor.dims;
  if (a === undefined || b === undefined || c === undefined || more.length > 0) return undefined;
  const isFirst = a === 1 || a === 3;
  const isLast = c === 1 || c === 3;
  const [channels, rows, columns] = isFirst ? [a, b, c] : [c, a, b];
  if (!(isFirst || isLast) || Math.min(rows, columns) < 8) return undefined;
  const step = Math.ceil(Math.max(rows, columns) / mostPixels);
  const [height, width] = [Math.floor(rows / step), Math.floor(columns / step)];
  const numbers = float32Of(tensor);
  const [low, high] = rangeOf(numbers);
  const bytes = new Uint8Array(height * width * channels);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        const [row, column] = [y * step, x * step];
        const place = isFirst
          ? (channel * rows + row) * columns + column
          : (row * columns + column) * channels + channel;
        bytes[at++] = Math.round((255 * (numbers[place]! - low)) / (high - low || 1));
      }
    }
  }
  return { kind: 'image', width, height, channels: channels as 1 | 3, pixels: base64(bytes) };
}

function asTokens({ dataType, dims, data }: HostTensor): Preview | undefined {
  if (!/^int(32|64)$/.test(dataType) || dims.length !== 2 || !ArrayBuffer.isView(data))
    return undefined;
  return { kind: 'tokens', ids: Array.from(data.subarray(0, mostIds), Number) };
}

/** One long axis of floats. */
function asSignal(tensor: HostTensor): Preview | undefined {
  const wide = tensor.dims.filter((dim) => dim !== 1);
  const [length] = wide;
  if (wide.length !== 1 || length === undefined || length < 2 * stretches) return undefined;
  const numbers = float32Of(tensor);
  const parts = Array.from({ length: stretches }, (_, at) =>
    rangeOf(
      numbers.subarray((at * length) / stretches, Math.max(1, ((at + 1) * length) / stretches)),
    ),
  );
  return {
    kind: 'signal',
    length,
    low: parts.map(([low]) => short(low)),
    high: parts.map(([, high]) => short(high)),
  };
}

function rangeOf(numbers: Float32Array): [low: number, high: number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const number of numbers) {
    low = Math.min(low, number);
    high = Math.max(high, number);
  }
  return [low, high];
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Six digits: more would be noise, and files are read by people too. */
export function short(number: number): number {
  return Number(number.toPrecision(6));
}

/**
 * Reads RIFF WAVE files of 16-bit PCM, the format of speech data sets. No other width, no
 * compression, no resampling: those are refused by name.
 * Format: http://soundfile.sapp.org/doc/WaveFormat
 */
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { decodeElements } from './array-reader.js';

export interface Wav {
  /** Samples per second. */
  readonly rate: number;
  /** int16: [samples] of one channel, else [channels, samples]. */
  readonly tensor: HostTensor;
}

/** Throws `invalid-data` for anything but a complete 16-bit PCM wave file. */
export function decodeWav(bytes: Uint8Array, name: string): Wav {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || word(0) !== 'RIFF' || word(8) !== 'WAVE') {
    throw invalid('is not a RIFF WAVE file', name);
  }
  let format: { rate: number; channels: number } | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = word(at);
    const size = view.getUint32(at + 4, true);
    if (id === 'fmt ') {
      if (size < 16 || at + 24 > bytes.length) throw invalid('ends in its format chunk', name);
      format = readFormat(view, at + 8, size, name);
    } else if (id === 'data') {
      if (!format) throw invalid('has data before its format', name);
      if (at + 8 + size > bytes.length) {
        throw invalid(
          `says ${size} bytes of sound, holds ${bytes.length - at - 8}: cut short?`,
          name,
        );
      }
      return {
        rate: format.rate,
        tensor: pcm(bytes.subarray(at + 8, at + 8 + size), format.channels),
      };
    }
    at += 8 + size + (size & 1);
  }
  throw invalid('holds no sound', name);
}

function readFormat(view: DataView, at: number, size: number, name: string) {
  let tag = view.getUint16(at, true);
  // "Extensible": the real tag is the start of a GUID.
  if (tag === 0xfffe && size >= 26 && at + 26 <= view.byteLength)
    tag = view.getUint16(at + 24, true);
  const channels = view.getUint16(at + 2, true);
  const bits = view.getUint16(at + 14, true);
  if (tag !== 1 || bits !== 16) {
    const kind = tag === 1 ? 'PCM' : tag === 3 ? 'float' : `format ${tag}`;
    throw invalid(`is ${bits}-bit ${kind}; only 16-bit PCM can be read`, name);
  }
  if (channels === 0) throw invalid('has no channel', name);
  return { rate: view.getUint32(at + 4, true), channels };
}

function pcm(bytes: Uint8Array, channels: number): HostTensor {
  const count = Math.floor(bytes.length / (2 * channels));
  const data = decodeElements(
    bytes.subarray(0, count * 2 * channels),
    'int16',
    false,
  ) as Int16Array;
  if (channels === 1) return { dataType: 'int16', dims: [count], data };
  const planes = new Int16Array(data.length);
  for (let i = 0; i < data.length; i++)
    planes[(i % channels) * count + Math.floor(i / channels)] = data[i]!;
  return { dataType: 'int16', dims: [channels, count], data: planes };
}

function invalid(what: string, file: string): PareError {
  return new PareError('invalid-data', `data: the sound ${what}`, {
    file,
    hint: 'convert with: ffmpeg -i IN -ac 1 -ar 16000 -c:a pcm_s16le OUT.wav',
  });
}

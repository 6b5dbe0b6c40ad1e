/**
 * The counts of a histogram as a short text: float32, deflated, in base64. Exact: what is read back
 * are the counts to the last bit.
 *
 * Approaches tried (resnet20, 50 values of 4,096 bins, bytes per value before base64): JSON numbers
 * 53,700, float32 deflated 9,900; with all first bytes before all second ones 9,500, not worth it.
 */
import { unzlibSync, zlibSync } from 'fflate';
import { PareError } from '../../errors.js';
import { histogramBins } from './statistics.js';

/** @param counts float32 numbers */
export function countsToText(counts: Float64Array): string {
  const bytes = new Uint8Array(Float32Array.from(counts).buffer);
  let text = '';
  for (const byte of zlibSync(bytes, { level: 9 })) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Throws `invalid-data` for what is not the text of a histogram. */
export function countsOfText(text: string, name: string): Float64Array {
  const broken = (cause?: unknown) =>
    new PareError('invalid-data', `calibration: the histogram of "${name}" is damaged`, { cause });
  let bytes: Uint8Array;
  try {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    // Room for one byte more than is right, so that a text that unpacks to more is found out.
    bytes = unzlibSync(packed, { out: new Uint8Array(4 * histogramBins + 1) });
  } catch (cause) {
    throw broken(cause);
  }
  if (bytes.length !== 4 * histogramBins) throw broken();
  const counts = Float64Array.from(new Float32Array(bytes.slice().buffer));
  if (!counts.every((count) => count >= 0 && count < Number.POSITIVE_INFINITY)) throw broken();
  return counts;
}

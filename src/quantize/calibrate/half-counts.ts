/**
 * Counts the elements of a value by their float16 pattern. The bins are the same for every value
 * and do not depend on its range, so one pass over the samples is enough; what comes back from
 * the runtime is half as large as the floats. Steps of float16 are a 2,048th of a number or finer,
 * at most an eighth of a step of 8-bit integers over any range that includes zero.
 */
import { float16ToFloat32 } from '../../onnx/float16.js';
import { type Histogram, histogramBins, storedCounts } from './statistics.js';

const patterns = 2 ** 16;
const infinity = 0x7c00;
/** Sign bit off. */
const magnitude = 0x7fff;

/** Below, the steps of float16 do not grow finer with the number any more. */
const leastPeak = 2 ** -10;
/** float16 ends at 65,504. */
const mostPeak = 65_000;

const numberOf = float16ToFloat32(Uint16Array.from({ length: patterns }, (_, code) => code));

/** Whether float16 tells the values of such a range well enough apart. */
export function fitsHalf({ min, max }: { readonly min: number; readonly max: number }): boolean {
  const peak = Math.max(-min, max);
  return peak === 0 || (peak >= leastPeak && peak <= mostPeak);
}

export class HalfCounts {
  readonly #counts = new Uint32Array(patterns);
  /** What did not fit into 32 bits. */
  #earlier: Float64Array | undefined;
  #pending = 0;

  /** @param codes float16 bit patterns */
  add(codes: Uint16Array): void {
    if (this.#pending + codes.length > 2 ** 32 - 1) this.#spill();
    this.#pending += codes.length;
    const counts = this.#counts;
    let at = 0;
    if (codes.byteOffset % 4 === 0) {
      // Two at a time, and zeros by the pair: a third less time on what ReLU leaves.
      const pairs = new Uint32Array(codes.buffer, codes.byteOffset, codes.length >> 1);
      let zeroPairs = 0;
      for (let i = 0; i < pairs.length; i++) {
        const pair = pairs[i]!;
        if (pair === 0) zeroPairs++;
        else {
          counts[pair & 0xffff]!++;
          counts[pair >>> 16]!++;
        }
      }
      counts[0]! += 2 * zeroPairs;
      at = 2 * pairs.length;
    }
    for (; at < codes.length; at++) counts[codes[at]!]!++;
  }

  /** Whether a NaN was among the elements. */
  get hasNaN(): boolean {
    for (let code = infinity + 1; code <= magnitude; code++) {
      if (this.#counts[code]! > 0 || this.#counts[code | 0x8000]! > 0) return true;
    }
    return false;
  }

  /** Even bins between the exact extremes; a pattern stands for all numbers that round to it. */
  histogram(low: number, high: number): Histogram {
    const counts = new Float64Array(histogramBins);
    const total = (code: number) => this.#counts[code]! + (this.#earlier?.[code] ?? 0);
    for (let code = 0; code < patterns; code++) {
      const count = total(code);
      if (count > 0 && (code & magnitude) < infinity) spread(counts, low, high, code, count);
    }
    return { low, high, counts: storedCounts(counts), zeros: total(0) + total(0x8000) };
  }

  #spill(): void {
    this.#earlier ??= new Float64Array(patterns);
    for (let code = 0; code < patterns; code++) this.#earlier[code]! += this.#counts[code]!;
    this.#counts.fill(0);
    this.#pending = 0;
  }
}

/** Shares a count out over the bins that the numbers behind a pattern reach into. */
function spread(
  counts: Float64Array,
  low: number,
  high: number,
  code: number,
  count: number,
): void {
  const value = numberOf[code]!;
  const above = (code & magnitude) + 1;
  // Zero is zero: no rounding made it, but of numbers too small to matter.
  const half = value === 0 ? 0 : (numberOf[above]! - Math.abs(value)) / 2;
  const from = Math.max(low, value - half);
  const to = Math.min(high, value + half);
  const perUnit = high > low ? counts.length / (high - low) : 0;
  const binOf = (x: number) =>
    Math.max(0, Math.min(counts.length - 1, Math.floor((x - low) * perUnit)));
  if (to <= from || perUnit === 0) {
    counts[binOf(Math.max(low, Math.min(high, value)))]! += count;
    return;
  }
  const first = binOf(from);
  const last = binOf(to);
  if (first === last) {
    counts[first]! += count;
    return;
  }
  const perWidth = count / (to - from);
  for (let bin = first; bin <= last; bin++) {
    const left = bin === first ? from : low + bin / perUnit;
    const right = bin === last ? to : low + (bin + 1) / perUnit;
    counts[bin]! += perWidth * Math.max(0, right - left);
  }
}

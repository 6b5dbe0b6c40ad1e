/**
 * The range that loses least information: the distribution of the values clipped to the range
 * against what is left of it after merging into as many bins as there are levels, by
 * Kullback-Leibler divergence.
 *
 * Source: S. Migacz, "8-bit Inference with TensorRT" (2017). Starting from 2,048 bins of |x| (or
 * of x where it has one sign) the candidates are 128, 129, ... 2,048 bins; fewer bins than levels,
 * as in ONNX Runtime's default, leave a single candidate.
 */
import type { Calibrator } from './calibrators.js';
import type { Histogram } from './statistics.js';

const bins = 2048;
/** Candidates are tried every so many bins: the divergence is smooth. */
const stride = 8;

export const entropy = {
  name: 'entropy',
  summary: 'the least Kullback-Leibler divergence, over 2,048 bins',
  histogram: true,
  range({ min, max, histogram }, { levels, symmetric }) {
    if (!histogram || max <= min) return { min, max };
    const peak = Math.max(Math.abs(min), Math.abs(max));
    const magnitudes = foldMagnitudes(histogram, peak);
    const oneSided = !symmetric && (min >= 0 || max <= 0);
    // Two-sided integers spend half of their levels on each side.
    const merged = oneSided ? levels : levels / 2;
    let best = bins;
    let least = Number.POSITIVE_INFINITY;
    for (let kept = merged; kept <= bins; kept += stride) {
      const divergence = klDivergence(magnitudes, kept, merged);
      if (divergence < least) {
        least = divergence;
        best = kept;
      }
    }
    const threshold = (peak * best) / bins;
    return { min: Math.max(min, -threshold), max: Math.min(max, threshold) };
  },
} as const satisfies Calibrator;

/** The histogram of |x| over [0, peak]. Counts of a bin that straddles a border are shared out. */
function foldMagnitudes(histogram: Histogram, peak: number): Float64Array {
  const { low, high, counts } = histogram;
  const out = new Float64Array(bins);
  const width = (high - low) / counts.length;
  const perUnit = bins / peak;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin]!;
    if (count === 0) continue;
    const parts = 4;
    for (let part = 0; part < parts; part++) {
      const x = Math.abs(low + (bin + (part + 0.5) / parts) * width);
      out[Math.min(bins - 1, Math.floor(x * perUnit))]! += count / parts;
    }
  }
  return out;
}

function klDivergence(histogram: Float64Array, kept: number, merged: number): number {
  // P: the kept bins, what is clipped added to the last one. Q: the kept bins without it, merged
  // to as many as there are levels and spread out again over the bins that hold anything.
  let outside = 0;
  for (let bin = kept; bin < histogram.length; bin++) outside += histogram[bin]!;
  let total = outside;
  let inside = 0;
  for (let bin = 0; bin < kept; bin++) inside += histogram[bin]!;
  total += inside;
  if (inside === 0) return Number.POSITIVE_INFINITY;
  let divergence = 0;
  for (let level = 0; level < merged; level++) {
    const start = Math.floor((level * kept) / merged);
    const end = Math.floor(((level + 1) * kept) / merged);
    let sum = 0;
    let filled = 0;
    for (let bin = start; bin < end; bin++) {
      sum += histogram[bin]!;
      if (histogram[bin]! > 0) filled++;
    }
    for (let bin = start; bin < end; bin++) {
      const count = histogram[bin]! + (bin === kept - 1 ? outside : 0);
      if (count === 0) continue;
      const p = count / total;
      const q = filled > 0 && histogram[bin]! > 0 ? sum / filled / inside : 1e-9;
      divergence += p * Math.log(p / q);
    }
  }
  return divergence;
}

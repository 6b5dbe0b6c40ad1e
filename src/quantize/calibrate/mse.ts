/**
 * The range whose quantization error is least: rounding inside, clipping outside, weighed by the
 * histogram. The ends are shrunk in turn, coarse then fine, since the error falls and then rises
 * along each.
 *
 * Source of the criterion: Banner et al., "Post training 4-bit quantization of convolutional
 * networks for rapid-deployment" (2019); here by search instead of a model of the distribution.
 */
import type { CalibratedRange, Calibrator } from './calibrators.js';
import { binCenter, type Histogram } from './statistics.js';

/** Shares of an end that are tried. Below 0.2 nothing was ever chosen. */
const coarse = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
const fine = [1.05, 1.025, 0.975, 0.95];

export const mse = {
  name: 'mse',
  summary: 'the least squared error of rounding and clipping',
  histogram: true,
  range({ min, max, histogram }, { levels, symmetric }) {
    if (!histogram || max <= min) return { min, max };
    // Zero must be representable, so each end is at least zero from the other's side.
    const full = { min: Math.min(0, min), max: Math.max(0, max) };
    const peak = Math.max(-full.min, full.max);
    const error = (range: CalibratedRange) => squaredError(histogram, range, levels);
    if (symmetric) {
      const at = (share: number) => ({ min: -peak * share, max: peak * share });
      const share = search(1, (candidate) => error(at(candidate)));
      return at(share);
    }
    let low = 1;
    let high = 1;
    const at = (a: number, b: number) => ({ min: full.min * a, max: full.max * b });
    for (let round = 0; round < 2; round++) {
      if (full.max > 0) high = search(high, (share) => error(at(low, share)));
      if (full.min < 0) low = search(low, (share) => error(at(share, high)));
    }
    return at(low, high);
  },
} as const satisfies Calibrator;

function search(start: number, error: (share: number) => number): number {
  let best = start;
  let least = error(start);
  const attempt = (share: number) => {
    if (share > 1) return;
    const found = error(share);
    if (found < least) {
      least = found;
      best = share;
    }
  };
  for (const share of coarse) attempt(share);
  const center = best;
  for (const factor of fine) attempt(center * factor);
  return best;
}

/** Sum over the bins of count * (x - quantized x)^2, x at the middle of its bin. */
export function squaredError(
  histogram: Histogram,
  { min, max }: CalibratedRange,
  levels: number,
): number {
  const { counts } = histogram;
  const scale = (max - min) / (levels - 1);
  if (!(scale > 0)) return Number.POSITIVE_INFINITY;
  const zeroPoint = Math.round(-min / scale);
  // Inside a bin values spread evenly: their variance stays when bins are wide beside a step.
  let sum = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin]!;
    if (count === 0) continue;
    const x = binCenter(histogram, bin);
    const q = Math.max(0, Math.min(levels - 1, Math.round(x / scale) + zeroPoint));
    const difference = x - (q - zeroPoint) * scale;
    sum += count * difference * difference;
  }
  return sum;
}

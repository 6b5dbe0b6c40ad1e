/**
 * Chooses the integers of one row of weights so that the row's product with its inputs changes
 * least. With e = q - w and C the covariance of the inputs the error is e' C e; every weight in turn
 * takes the integer that is best given all others, until none moves. The error only falls, so it
 * ends no worse than rounding to nearest.
 *
 * Source: cyclic coordinate descent of QuantEase (Behdin et al., 2023); the criterion is that of
 * AdaRound (Nagel et al., "Up or Down?", 2020) and GPTQ (Frantar et al., 2022).
 */
import { roundHalfEven } from '../integers.js';

export interface RowRounding {
  /** The weights of the row. */
  readonly weights: Float64Array;
  readonly scale: number;
  /** Largest magnitude of an integer. */
  readonly limit: number;
  /** [n, n] from `start`, symmetric. */
  readonly covariance: Float64Array;
  readonly start: number;
  /** Added to the diagonal: keeps weights near their values where samples say little. */
  readonly damping: number;
  /** Index of a weight that keeps its nearest integer, -1 for none. */
  readonly fixed: number;
}

export interface RoundedRow {
  readonly codes: Int8Array;
  /** e' C e of the result, and of rounding to nearest. */
  readonly error: number;
  readonly nearestError: number;
}

const mostSweeps = 20;

export function roundRow(row: RowRounding): RoundedRow {
  const { weights, scale, limit, covariance, start, damping, fixed } = row;
  const n = weights.length;
  const clamp = (code: number) => Math.max(-limit, Math.min(limit, code));
  const codes = Int8Array.from(weights, (w) => clamp(roundHalfEven(w / scale)));
  const errors = weights.map((w, i) => codes[i]! * scale - w);
  const gradient = new Float64Array(n);
  for (let i = 0; i < n; i++) addColumn(gradient, covariance, start, i, errors[i]!, damping);
  const total = () => errors.reduce((sum, e, i) => sum + e * gradient[i]!, 0);
  const nearestError = total();
  for (let sweep = 0, moved = true; moved && sweep < mostSweeps; sweep++) {
    moved = false;
    for (let i = 0; i < n; i++) {
      const curvature = covariance[start + i * n + i]! + damping;
      if (i === fixed || !(curvature > 0)) continue;
      const best = weights[i]! + errors[i]! - gradient[i]! / curvature;
      const code = clamp(roundHalfEven(best / scale));
      const step = (code - codes[i]!) * scale;
      // The error must really fall, or two equal integers could take turns for ever.
      if (step === 0 || step * (2 * gradient[i]! + step * curvature) >= 0) continue;
      codes[i] = code;
      errors[i]! += step;
      addColumn(gradient, covariance, start, i, step, damping);
      moved = true;
    }
  }
  return { codes, error: total(), nearestError };
}

function addColumn(
  gradient: Float64Array,
  covariance: Float64Array,
  start: number,
  column: number,
  factor: number,
  damping: number,
): void {
  if (factor === 0) return;
  const n = gradient.length;
  // Symmetric: the row is the column, and lies together in memory.
  const from = start + column * n;
  for (let i = 0; i < n; i++) gradient[i]! += factor * covariance[from + i]!;
  gradient[column]! += factor * damping;
}

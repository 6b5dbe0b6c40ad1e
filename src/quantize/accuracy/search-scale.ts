/**
 * The scale of weights that makes the error of their rounding least: how much of the largest
 * weight the integers reach. Clipping one large weight makes the steps of all others finer, which
 * pays with few bits and with rows that hold an outlier.
 *
 * The error is e' C e with e = q - w and C the covariance of the inputs, or the sum of e^2 where
 * nothing is known of them. Source: SeqMSE of AIMET and the scale estimation of NNCF, which try
 * candidates too. All candidates are compared by the diagonal of C, then the best with its
 * neighbours by all of C: that costs 4 n^2 in place of 21 n^2.
 */
import { roundHalfEven } from '../integers.js';

export interface ScaledRow {
  readonly weights: Float64Array;
  /** [n, n] from `start`, symmetric; undefined without samples. */
  readonly covariance: Float64Array | undefined;
  readonly start: number;
  /** Added to the diagonal. */
  readonly damping: number;
}

/** Share of the largest weight that the integers reach at least, and the steps in between. */
const least = 0.5;
const steps = 20;

/**
 * @param rows those with one scale
 * @param limit largest magnitude of an integer
 * @returns share of the largest magnitude, 1 where clipping does not pay
 */
export function searchScale(rows: readonly ScaledRow[], limit: number): number {
  let peak = 0;
  for (const { weights } of rows) for (const w of weights) peak = Math.max(peak, Math.abs(w));
  if (!(peak > 0)) return 1;
  const shareAt = (step: number) => 1 - (step * (1 - least)) / steps;
  const errorAt = (step: number, of: typeof diagonalError) => {
    const scale = (shareAt(step) * peak) / limit;
    let sum = 0;
    for (const row of rows) sum += of(row, roundingErrors(row.weights, scale, limit));
    return sum;
  };
  const candidates = Array.from({ length: steps + 1 }, (_, step) => step);
  const best = leastBy(candidates, (step) => errorAt(step, diagonalError));
  if (rows.every(({ covariance }) => !covariance)) return shareAt(best);
  const near = candidates.filter((step) => step === 0 || Math.abs(step - best) <= 1);
  return shareAt(leastBy(near, (step) => errorAt(step, fullError)));
}

function leastBy(candidates: readonly number[], errorOf: (step: number) => number): number {
  let best = candidates[0]!;
  let error = Number.POSITIVE_INFINITY;
  for (const step of candidates) {
    const found = errorOf(step);
    if (found < error) [best, error] = [step, found];
  }
  return best;
}

function roundingErrors(weights: Float64Array, scale: number, limit: number): Float64Array {
  return weights.map(
    (w) => Math.max(-limit, Math.min(limit, roundHalfEven(w / scale))) * scale - w,
  );
}

function diagonalError({ covariance, start, damping }: ScaledRow, errors: Float64Array): number {
  const n = errors.length;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sum += errors[i]! ** 2 * (covariance ? covariance[start + i * n + i]! + damping : 1);
  }
  return sum;
}

function fullError({ covariance, start, damping }: ScaledRow, errors: Float64Array): number {
  if (!covariance) return diagonalError({ covariance, start, damping } as ScaledRow, errors);
  const n = errors.length;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const from = start + i * n;
    let inner = 0;
    for (let j = 0; j < i; j++) inner += covariance[from + j]! * errors[j]!;
    sum += errors[i]! * (2 * inner + (covariance[from + i]! + damping) * errors[i]!);
  }
  return sum;
}

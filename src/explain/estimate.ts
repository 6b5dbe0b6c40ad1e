/**
 * Statistics of explanations: areas under curves, rank correlation, and means over seeds with their
 * interval. Pure functions of numbers.
 */
import type { Estimate } from './explanation.js';

/** 97.5 % points of Student's t with 1, 2, ... 10 degrees of freedom. */
const studentT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
const z = 1.959964;

/** The mean with its 95 % interval by Student's t; an interval without width for one number. */
export function estimate(perSeed: readonly number[]): Estimate {
  const n = perSeed.length;
  const mean = perSeed.reduce((a, b) => a + b, 0) / n;
  if (n < 2) return { mean, interval: [mean, mean], perSeed };
  const variance = perSeed.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1);
  const half = quantileOfT(n - 1) * Math.sqrt(variance / n);
  return { mean, interval: [mean - half, mean + half], perSeed };
}

/** Above the table by the expansion of Fisher and Cornish to the first order, good to 0.01. */
function quantileOfT(freedom: number): number {
  return studentT[freedom - 1] ?? z + (z ** 3 + z) / (4 * freedom);
}

/** Area under straight lines between the points. */
export function area(x: readonly number[], y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 1; i < x.length; i++) sum += ((x[i]! - x[i - 1]!) * (y[i]! + y[i - 1]!)) / 2;
  return sum;
}

/**
 * Spearman's rank correlation; equal numbers share their mean rank. 0 where one side does not vary.
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return pearson(ranksOf(a), ranksOf(b));
}

export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  let meanA = 0;
  let meanB = 0;
  for (let i = 0; i < n; i++) {
    meanA += a[i]! / n;
    meanB += b[i]! / n;
  }
  let both = 0;
  let varA = 0;
  let varB = 0;
  for (let i = 0; i < n; i++) {
    both += (a[i]! - meanA) * (b[i]! - meanB);
    varA += (a[i]! - meanA) ** 2;
    varB += (b[i]! - meanB) ** 2;
  }
  const scale = Math.sqrt(varA * varB);
  return scale > 0 ? both / scale : 0;
}

function ranksOf(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + end - 1) / 2;
    start = end;
  }
  return ranks;
}

/**
 * Ridge least squares in float64 from second moments: min ||Y - X W||^2 + lambda ||W - W0||^2,
 * that is (Sxx + lambda I)(W - W0) = Sxy - Sxx W0. Dense Cholesky; knows no layers.
 *
 * The penalty draws towards the weights that are there (W0) and not towards zero: with few samples
 * the answer falls back to the plain cut instead of to a dead layer. A penalty per feature, in
 * proportion to its moment, was tried and brought back less (286 of 300 digits against 290).
 * Figures are in docs/decisions/0014-repair-by-least-squares.md.
 */
import { PareError } from '../../errors.js';

/**
 * Factors a symmetric positive definite matrix in place into its lower triangle L, A = L L'.
 * Returns false, leaving it half done, when a pivot is not positive.
 *
 * @param matrix [size, size], row-major; the upper triangle is not read
 */
export function cholesky(matrix: Float64Array, size: number): boolean {
  for (let row = 0; row < size; row++) {
    const start = row * size;
    for (let column = 0; column <= row; column++) {
      const other = column * size;
      const sum = matrix[start + column]! - dot(matrix, start, matrix, other, column);
      if (column < row) matrix[start + column] = sum / matrix[other + column]!;
      else if (sum > 0) matrix[start + row] = Math.sqrt(sum);
      else return false;
    }
  }
  return true;
}

/**
 * Solves L L' x = b in place for every row of `right`.
 *
 * @param right [count, size]: one right-hand side per row
 */
export function solveCholesky(lower: Float64Array, size: number, right: Float64Array): void {
  for (let start = 0; start < right.length; start += size) {
    for (let i = 0; i < size; i++) {
      const sum = right[start + i]! - dot(lower, i * size, right, start, i);
      right[start + i] = sum / lower[i * size + i]!;
    }
    for (let i = size - 1; i >= 0; i--) {
      const found = right[start + i]! / lower[i * size + i]!;
      right[start + i] = found;
      // Column-wise, so that the rows of L are read in order.
      for (let k = 0; k < i; k++) right[start + k]! -= lower[i * size + k]! * found;
    }
  }
}

export interface RidgeProblem {
  /** Sxx: [features, features], symmetric. */
  readonly moments: Float64Array;
  /** Sxy, transposed: [outputs, features]. */
  readonly cross: Float64Array;
  /** W0, transposed: [outputs, features]. */
  readonly prior: Float64Array;
  readonly features: number;
  /** lambda as a multiple of the mean of the diagonal of Sxx. */
  readonly ridge: number;
}

/** All transposed: [outputs, features]. */
export interface RidgeSolution {
  readonly weights: Float64Array;
  /** Sxx W and Sxx W0, of which the errors follow without another product. */
  readonly products: Float64Array;
  readonly priorProducts: Float64Array;
}

/**
 * Features that were never anything but zero keep their prior. Throws `usage` for a ridge that is
 * not above zero.
 */
export function solveRidge(problem: RidgeProblem): RidgeSolution {
  const { moments, cross, prior, features, ridge } = problem;
  if (!(ridge > 0)) {
    throw new PareError('usage', `prune: the ridge must be above 0, not ${ridge}`);
  }
  let trace = 0;
  for (let i = 0; i < features; i++) trace += moments[i * features + i]!;
  const weights = Float64Array.from(prior);
  const priorProducts = productsOf(moments, prior, features);
  if (!(trace > 0)) return { weights, products: priorProducts, priorProducts };
  const change = cross.map((each, at) => each - priorProducts[at]!);
  // Rounding in the sums can leave moments that are not quite positive: then with more weight.
  for (let lambda = (ridge * trace) / features; ; lambda *= 10) {
    const factor = Float64Array.from(moments);
    for (let i = 0; i < features; i++) factor[i * features + i]! += lambda;
    if (!cholesky(factor, features)) continue;
    solveCholesky(factor, features, change);
    for (let i = 0; i < weights.length; i++) weights[i]! += change[i]!;
    const products = cross.map((each, at) => each - lambda * change[at]!);
    return { weights, products, priorProducts };
  }
}

/** Sxx W, transposed like W: [outputs, features]. */
export function productsOf(
  moments: Float64Array,
  weights: Float64Array,
  features: number,
): Float64Array {
  const result = new Float64Array(weights.length);
  for (let start = 0; start < result.length; start += features) {
    for (let i = 0; i < features; i++) {
      result[start + i] = dot(moments, i * features, weights, start, features);
    }
  }
  return result;
}

/**
 * Four sums side by side, since one alone waits for each of its additions: 28 ms of processor time
 * for 64 rows of 576 by 576 numbers against 36.
 */
export function dot(
  a: Float64Array,
  fromA: number,
  b: Float64Array,
  fromB: number,
  length: number,
): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let k = 0;
  for (; k + 3 < length; k += 4) {
    s0 += a[fromA + k]! * b[fromB + k]!;
    s1 += a[fromA + k + 1]! * b[fromB + k + 1]!;
    s2 += a[fromA + k + 2]! * b[fromB + k + 2]!;
    s3 += a[fromA + k + 3]! * b[fromB + k + 3]!;
  }
  for (; k < length; k++) s0 += a[fromA + k]! * b[fromB + k]!;
  return s0 + s1 + (s2 + s3);
}

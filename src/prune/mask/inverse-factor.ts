/**
 * The upper triangular U with U'U = inverse(H), for a symmetric positive definite H in float64.
 * Only what is quadratic in the block runs here; the cubic rest are products of the runtime in
 * float32, whose rounding (1e-7 of the diagonal) is far below the damping that callers add.
 *
 * No inverse is formed: with J the reversal of rows and columns and L L' = J H J, U is
 * J inverse(L) J, so one Cholesky factorization and one triangular inverse do.
 */
import type { MatMul } from '../../engine/matmul.js';
import { PareError } from '../../errors.js';

export interface FactorOptions {
  readonly blas: MatMul;
  /** Columns per block; matrices up to this size never leave float64. */
  readonly block?: number;
}

/** Throws `invalid-data` where H is not positive definite. [n, n], row-major. */
export async function inverseFactor(
  h: Float64Array,
  n: number,
  { blas, block = 128 }: FactorOptions,
): Promise<Float64Array> {
  const lower = reversed(h);
  for (let start = 0; start < n; start += block) {
    const end = Math.min(n, start + block);
    factorDiagonal(lower, n, start, end);
    solvePanel(lower, n, start, end);
    await updateTrailing(lower, n, start, end, blas);
  }
  return reversed(await invertLower(lower, n, block, blas));
}

/** Rows and columns from the last to the first; [n, n] stored as one vector is just turned around. */
function reversed(matrix: Float64Array): Float64Array {
  return matrix.slice().reverse();
}

function factorDiagonal(a: Float64Array, n: number, start: number, end: number): void {
  for (let j = start; j < end; j++) {
    let pivot = a[j * n + j]!;
    for (let k = start; k < j; k++) pivot -= a[j * n + k]! ** 2;
    if (!(pivot > 0)) {
      throw new PareError('invalid-data', `prune: the inputs give a singular matrix of ${n}`, {
        hint: 'use more samples or more damping',
      });
    }
    const root = Math.sqrt(pivot);
    a[j * n + j] = root;
    for (let i = j + 1; i < end; i++) {
      let sum = a[i * n + j]!;
      for (let k = start; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!;
      a[i * n + j] = sum / root;
    }
  }
}

/** The rows below the block: X L' = A for the block's L. */
function solvePanel(a: Float64Array, n: number, start: number, end: number): void {
  for (let i = end; i < n; i++) {
    for (let j = start; j < end; j++) {
      let sum = a[i * n + j]!;
      for (let k = start; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!;
      a[i * n + j] = sum / a[j * n + j]!;
    }
  }
}

async function updateTrailing(
  a: Float64Array,
  n: number,
  start: number,
  end: number,
  blas: MatMul,
): Promise<void> {
  const rows = n - end;
  if (rows === 0) return;
  const panel = copyOut(a, n, [end, n], [start, end]);
  const { data } = await blas.multiply(panel, panel, { transB: true });
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0; j < rows; j++, at++) a[(end + i) * n + end + j]! -= data[at]!;
  }
}

/** The inverse of the lower triangle of `a`, by block rows; what is above the diagonal is ignored. */
async function invertLower(
  a: Float64Array,
  n: number,
  block: number,
  blas: MatMul,
): Promise<Float64Array> {
  const x = new Float64Array(n * n);
  for (let start = 0; start < n; start += block) {
    const end = Math.min(n, start + block);
    // What the rows before contribute, then the block's own triangle by substitution.
    if (start > 0) {
      const left = copyOut(a, n, [start, end], [0, start]);
      const done = copyOut(x, n, [0, start], [0, start]);
      const { data } = await blas.multiply(left, done, { alpha: -1 });
      for (let i = start, at = 0; i < end; i++) {
        for (let j = 0; j < start; j++, at++) x[i * n + j] = data[at]!;
      }
    }
    for (let i = start; i < end; i++) {
      x[i * n + i] = 1;
      for (let k = start; k < i; k++) {
        const factor = a[i * n + k]!;
        if (factor === 0) continue;
        for (let j = 0; j <= k; j++) x[i * n + j]! -= factor * x[k * n + j]!;
      }
      const pivot = a[i * n + i]!;
      for (let j = 0; j <= i; j++) x[i * n + j]! /= pivot;
    }
  }
  return x;
}

type Range = readonly [start: number, end: number];

/** A part of a square matrix in float32, as the runtime takes it. */
export function copyOut(a: Float64Array, stride: number, rows: Range, columns: Range) {
  const dims = [rows[1] - rows[0], columns[1] - columns[0]] as const;
  const data = new Float32Array(dims[0] * dims[1]);
  for (let i = 0; i < dims[0]; i++) {
    const from = (rows[0] + i) * stride + columns[0];
    data.set(a.subarray(from, from + dims[1]), i * dims[1]);
  }
  return { dims, data };
}

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../random.js';
import { normalRows } from '../test-families.js';
import { cholesky, solveCholesky, solveRidge } from './solve.js';

/** Least squares of the stacked system [X; D^1/2] w = [y; D^1/2 w0], by Householder. */
function denseRidge(x: number[][], y: number[], prior: number[], penalty: number[]): number[] {
  const n = prior.length;
  const a = [
    ...x.map((row) => [...row]),
    ...prior.map((_, i) => prior.map((__, j) => (i === j ? Math.sqrt(penalty[i]!) : 0))),
  ];
  const b = [...y, ...prior.map((w, i) => Math.sqrt(penalty[i]!) * w)];
  for (let k = 0; k < n; k++) {
    const column = a.slice(k).map((row) => row[k]!);
    const norm = Math.hypot(...column) * (column[0]! > 0 ? -1 : 1);
    const v = [column[0]! - norm, ...column.slice(1)];
    const square = v.reduce((sum, each) => sum + each ** 2, 0);
    const reflect = (get: (i: number) => number, set: (i: number, to: number) => void) => {
      const dot = v.reduce((sum, each, i) => sum + each * get(i + k), 0);
      for (const [i, each] of v.entries()) set(i + k, get(i + k) - (2 * dot * each) / square);
    };
    for (let j = k; j < n; j++)
      reflect(
        (i) => a[i]![j]!,
        (i, to) => void (a[i]![j] = to),
      );
    reflect(
      (i) => b[i]!,
      (i, to) => void (b[i] = to),
    );
  }
  const w = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i]!;
    for (let j = i + 1; j < n; j++) sum -= a[i]![j]! * w[j]!;
    w[i] = sum / a[i]![i]!;
  }
  return w;
}

function momentsOf(x: number[][], y: number[]) {
  const n = x[0]!.length;
  const moments = new Float64Array(n * n);
  const cross = new Float64Array(n);
  for (const [row, values] of x.entries()) {
    for (let i = 0; i < n; i++) {
      cross[i]! += (values[i]! * y[row]!) / x.length;
      for (let j = 0; j < n; j++) moments[i * n + j]! += (values[i]! * values[j]!) / x.length;
    }
  }
  return { moments, cross };
}

describe('solveRidge', () => {
  it('is the dense least squares of the stacked system', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(1000), (features, seed) => {
        const x = normalRows(features + 5, features, seed);
        const [y, prior] = [
          x.map((_, i) => Math.sin(i + seed)),
          normalRows(1, features, ~seed)[0]!,
        ];
        const { moments, cross } = momentsOf(x, y);
        const ridge = 0.01;
        const trace = prior.reduce((sum, _, i) => sum + moments[i * features + i]!, 0);
        const penalty = prior.map(() => ((ridge * trace) / features) * x.length);
        const { weights: found, products } = solveRidge({
          moments,
          cross,
          prior: Float64Array.from(prior),
          features,
          ridge,
        });
        const expected = denseRidge(x, y, prior, penalty);
        for (const [i, w] of expected.entries()) {
          expect(found[i]).toBeCloseTo(w, 9);
          const product = expected.reduce((sum, v, j) => sum + moments[i * features + j]! * v, 0);
          expect(products[i]).toBeCloseTo(product, 9);
        }
      }),
    );
  });

  it('keeps the prior where a feature was never seen', () => {
    const { weights: found } = solveRidge({
      moments: Float64Array.of(2, 0, 0, 0),
      cross: Float64Array.of(4, 0),
      prior: Float64Array.of(0, 7),
      features: 2,
      ridge: 1e-9,
    });
    expect(found[0]).toBeCloseTo(2, 6);
    expect(found[1]).toBe(7);
  });

  it('gives the prior when nothing was seen, and refuses no ridge', () => {
    const problem = {
      moments: new Float64Array(4),
      cross: new Float64Array(2),
      prior: Float64Array.of(1, 2),
      features: 2,
    };
    expect(solveRidge({ ...problem, ridge: 1 }).weights).toEqual(Float64Array.of(1, 2));
    expect(() => solveRidge({ ...problem, ridge: 0 })).toThrow(/above 0/);
  });
});

describe('cholesky', () => {
  it('factors and solves, and tells a matrix that is not positive', () => {
    const random = createRandom(1);
    const size = 6;
    const half = Float64Array.from({ length: size * size }, () => random.normal());
    const matrix = new Float64Array(size * size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        for (let k = 0; k < size; k++)
          matrix[i * size + j]! += half[i * size + k]! * half[j * size + k]!;
      }
    }
    const solution = Float64Array.from({ length: size }, (_, i) => i - 2);
    const right = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) right[i]! += matrix[i * size + j]! * solution[j]!;
    }
    expect(cholesky(matrix, size)).toBe(true);
    solveCholesky(matrix, size, right);
    for (let i = 0; i < size; i++) expect(right[i]).toBeCloseTo(i - 2, 8);
    expect(cholesky(Float64Array.of(1, 2, 2, 1), 2)).toBe(false);
  });
});

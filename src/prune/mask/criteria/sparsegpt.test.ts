import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../../engine/engine.js';
import { createMatMul, type MatMul } from '../../../engine/matmul.js';
import { createNodeEngine } from '../../../engine/node.js';
import { createRandom } from '../../../random.js';
import { inverseFactor } from '../inverse-factor.js';
import type { WeightMatrix } from '../matrix.js';
import { type Pattern, parsePattern } from '../patterns.js';
import { sparseGpt } from './sparsegpt.js';

let engine: Engine;
let blas: MatMul;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  blas = createMatMul(engine);
});
afterAll(async () => {
  await blas.release();
  await engine.close();
});

type Dense = number[][];

/** Gauss-Jordan with row exchange, in float64. */
function inverse(matrix: Dense): Dense {
  const n = matrix.length;
  const work = matrix.map((row, i) => [...row, ...row.map((_, j) => Number(i === j))]);
  for (let k = 0; k < n; k++) {
    let best = k;
    for (let i = k; i < n; i++) if (Math.abs(work[i]![k]!) > Math.abs(work[best]![k]!)) best = i;
    [work[k], work[best]] = [work[best]!, work[k]!];
    const pivot = work[k]![k]!;
    work[k] = work[k]!.map((x) => x / pivot);
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const factor = work[i]![k]!;
      work[i] = work[i]!.map((x, j) => x - factor * work[k]![j]!);
    }
  }
  return work.map((row) => row.slice(n));
}

/** Second moments of correlated inputs with some that are nearly silent. */
function momentsOf(n: number, seed: number): Dense {
  const random = createRandom(seed);
  const rows = Array.from({ length: 3 * n }, () => {
    const shared = random.normal();
    return Array.from(
      { length: n },
      (_, i) => (random.normal() + shared) * (i % 5 === 0 ? 0.1 : 1),
    );
  });
  return Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => rows.reduce((s, x) => s + x[i]! * x[j]!, 0) / rows.length),
  );
}

function matrixOf(rows: number, features: number, seed: number, groups = 1): WeightMatrix {
  const random = createRandom(seed);
  const values = Float64Array.from({ length: rows * features }, () => random.normal());
  return { groups, rows, features, channels: features, values };
}

/**
 * Optimal Brain Surgeon by the book: the inverse of the whole Hessian, a column eliminated from it
 * after each step, weights moved by the column of that inverse. No factors, no blocks of products.
 */
function reference(
  weights: WeightMatrix,
  h: Dense,
  damping: number,
  pattern: Pattern,
  sparsity: number,
): number[][] {
  const n = weights.features;
  const mean = h.reduce((sum, row, i) => sum + row[i]!, 0) / n;
  let left = inverse(h.map((row, i) => row.map((x, j) => x + (i === j ? damping * mean : 0))));
  const eliminate = (m: Dense, j: number) =>
    m.map((row) => row.map((x, k) => x - (row[j]! * m[j]![k]!) / m[j]![j]!));
  // What each column costs when its turn comes.
  const costs: number[] = [];
  for (let j = 0, m = left; j < n; j++) {
    costs.push(m[j]![j]!);
    m = eliminate(m, j);
  }
  const w = Array.from({ length: weights.rows }, (_, r) => [
    ...weights.values.slice(r * n, (r + 1) * n),
  ]);
  const gone = w.map((row) => row.map((x) => x === 0));
  const width = pattern.kind === 'n-of-m' ? pattern.of : Math.max(16, Math.ceil(n / 8));
  const masks = w.map((row) => row.map(() => false));
  const total = Math.round(sparsity * w.length * n);
  let chosen = 0;
  for (let j = 0; j < n; j++) {
    if (j % width === 0) {
      const end = Math.min(n, j + width);
      const entries = w.flatMap((row, r) =>
        row.slice(j, end).map((x, i) => {
          const cost = gone[r]![j + i] ? -1 : x ** 2 / costs[j + i]!;
          return { r, i: j + i, cost };
        }),
      );
      if (pattern.kind === 'n-of-m') {
        for (let r = 0; r < w.length; r++) {
          const own = entries.filter((entry) => entry.r === r).sort((a, b) => a.cost - b.cost);
          for (const { i } of own.slice(0, pattern.of - pattern.keep)) masks[r]![i] = true;
        }
      } else {
        const count = Math.round((total * end) / n) - chosen;
        chosen += count;
        entries.sort((a, b) => a.cost - b.cost);
        for (const { r, i } of entries.slice(0, count)) masks[r]![i] = true;
      }
    }
    for (const [r, row] of w.entries()) {
      if (!masks[r]![j]) continue;
      const error = row[j]! / left[j]![j]!;
      for (let i = j; i < n; i++) row[i]! -= error * left[j]![i]!;
      row[j] = 0;
    }
    left = eliminate(left, j);
  }
  return w;
}

const flat = (matrix: Dense) => Float64Array.from(matrix.flat());

describe('the factor of the inverse', () => {
  test.each([
    [7, 128],
    [40, 16],
    [136, 128],
  ])("%i columns in blocks of %i: U is upper and U'U times H is one", async (n, block) => {
    const h = momentsOf(n, 1).map((row, i) => row.map((x, j) => x + Number(i === j) * 0.05));
    const u = await inverseFactor(flat(h), n, { blas, block });
    const expected = inverse(h);
    let worst = 0;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        if (j < i) expect(u[i * n + j]).toBe(0);
        let sum = 0;
        for (let k = 0; k < n; k++) sum += u[k * n + i]! * u[k * n + j]!;
        worst = Math.max(worst, Math.abs(sum - expected[i]![j]!));
      }
    }
    const scale = Math.max(...expected.flat().map(Math.abs));
    expect(worst / scale).toBeLessThan(n <= block ? 1e-12 : 1e-5);
  });

  test('refuses what is not positive definite', async () => {
    const h = Float64Array.of(1, 2, 2, 1);
    await expect(inverseFactor(h, 2, { blas })).rejects.toThrow('singular');
  });
});

describe('sparsegpt', () => {
  test.each([
    ['unstructured', 24, 0.5],
    ['unstructured', 24, 0.8],
    ['unstructured', 136, 0.5],
    ['2:4', 24, 0.5],
    ['4:8', 136, 0.5],
    ['2:4', 4, 0.5],
    ['1:3', 12, 2 / 3],
  ])('%s of %i columns is Optimal Brain Surgeon column by column', async (text, n, sparsity) => {
    const pattern = parsePattern(text);
    const h = momentsOf(n, 3);
    const weights = matrixOf(10, n, 4);
    if (pattern.kind === 'n-of-m') weights.values[5] = 0;
    const expected = reference(weights, h, 0.01, pattern, sparsity);
    await sparseGpt.solve(weights, { moments: flat(h), pattern, sparsity, damping: 0.01, blas });
    const found = [...weights.values];
    expect(found.map((x) => x === 0)).toEqual(expected.flat().map((x) => x === 0));
    for (const [at, x] of expected.flat().entries()) expect(found[at]).toBeCloseTo(x, 4);
  });

  test('groups are solved each with its own moments', async () => {
    const pattern = parsePattern('unstructured');
    const n = 12;
    const moments = [momentsOf(n, 1), momentsOf(n, 2)];
    const both = matrixOf(8, n, 5, 2);
    const halves = [0, 1].map((at) => ({
      ...both,
      groups: 1,
      rows: 4,
      values: both.values.slice(at * 4 * n, (at + 1) * 4 * n),
    }));
    const settings = { pattern, sparsity: 0.5, damping: 0.01, blas };
    await sparseGpt.solve(both, { ...settings, moments: flat(moments.flat()) });
    for (const [at, half] of halves.entries()) {
      await sparseGpt.solve(half, { ...settings, moments: flat(moments[at]!) });
    }
    expect([...both.values]).toEqual(halves.flatMap(({ values }) => [...values]));
  });

  test('what stays makes up for what leaves: less error at the outputs than by cutting alone', async () => {
    const n = 32;
    const h = momentsOf(n, 7);
    const before = matrixOf(6, n, 8);
    const solved = { ...before, values: before.values.slice() };
    const settings = { pattern: parsePattern('2:4'), sparsity: 0.5, damping: 0.01, blas };
    await sparseGpt.solve(solved, { ...settings, moments: flat(h) });
    const errorOf = (values: Float64Array) => {
      let error = 0;
      for (let r = 0; r < 6; r++) {
        const d = [...before.values.slice(r * n, (r + 1) * n)].map(
          (x, i) => x - values[r * n + i]!,
        );
        for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) error += d[i]! * h[i]![j]! * d[j]!;
      }
      return error;
    };
    const cut = before.values.map((x, i) => (solved.values[i] === 0 ? 0 : x));
    expect(errorOf(solved.values)).toBeLessThan(0.7 * errorOf(cut));
  });

  test('a second run changes nothing, and blocks are refused', async () => {
    const n = 16;
    const inputs = { moments: flat(momentsOf(n, 7)), sparsity: 0.5, damping: 0.01, blas };
    for (const text of ['unstructured', '2:4']) {
      const weights = matrixOf(6, n, 8);
      await sparseGpt.solve(weights, { ...inputs, pattern: parsePattern(text) });
      const once = [...weights.values];
      await sparseGpt.solve(weights, { ...inputs, pattern: parsePattern(text) });
      expect([...weights.values]).toEqual(once);
    }
    expect(sparseGpt.whyNot(parsePattern('4x1'))).toContain('no blocks');
  });
});

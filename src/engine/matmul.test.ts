import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '../random.js';
import type { Engine } from './engine.js';
import { createMatMul, type MatMul, type Matrix } from './matmul.js';
import { createNodeEngine } from './node.js';

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

function randomMatrix(rows: number, cols: number, seed: number): Matrix {
  const random = createRandom(seed);
  return { dims: [rows, cols], data: Float32Array.from({ length: rows * cols }, random.normal) };
}

function transpose({ dims: [rows, cols], data }: Matrix): Matrix {
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[j * rows + i] = data[i * cols + j]!;
  }
  return { dims: [cols, rows], data: out };
}

function naive(a: Matrix, b: Matrix, alpha: number): Matrix {
  const [rows, inner] = a.dims;
  const cols = b.dims[1];
  const data = new Float32Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += a.data[i * inner + k]! * b.data[k * cols + j]!;
      data[i * cols + j] = alpha * sum;
    }
  }
  return { dims: [rows, cols], data };
}

function expectClose(got: ArrayLike<number>, expected: ArrayLike<number>) {
  expect(got).toHaveLength(expected.length);
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(got[i]! - expected[i]!)).toBeLessThan(1e-4);
  }
}

describe('multiply', () => {
  it.each([
    [false, false, 1],
    [true, false, -0.5],
    [false, true, 1],
    [true, true, 2],
  ])('transA %s, transB %s, alpha %s', async (transA, transB, alpha) => {
    for (const [m, k, n] of [
      [5, 7, 3],
      [1, 1, 4],
      [17, 2, 1],
    ] as const) {
      const a = randomMatrix(m, k, 1);
      const b = randomMatrix(k, n, 2);
      const left = transA ? transpose(a) : a;
      const right = transB ? transpose(b) : b;
      const c = await blas.multiply(left, right, { transA, transB, alpha });
      const expected = naive(a, b, alpha);
      expect(c.dims).toEqual(expected.dims);
      expectClose(c.data, expected.data);
    }
  });

  it('gives zeros where the inner dim is empty, and nothing where an outer one is', async () => {
    const empty = { dims: [2, 0], data: new Float32Array(0) } as const;
    const other = { dims: [0, 3], data: new Float32Array(0) } as const;
    expect((await blas.multiply(empty, other)).data).toEqual(new Float32Array(6));
    expect((await blas.multiply(other, randomMatrix(3, 2, 1))).dims).toEqual([0, 2]);
  });

  it('refuses dims that do not fit', async () => {
    const a = randomMatrix(2, 3, 1);
    await expect(blas.multiply(a, a)).rejects.toThrow('[2,3] times [2,3]');
    await expect(blas.multiply({ ...a, dims: [2, 4] }, a)).rejects.toThrow('6 elements');
  });
});

describe('gram', () => {
  it('is the product of the transpose with the matrix, and adds up', async () => {
    const x = randomMatrix(9, 4, 3);
    const y = randomMatrix(5, 4, 4);
    const first = naive(transpose(x), x, 1).data;
    const second = naive(transpose(y), y, 1).data;
    expectClose((await blas.gram(x)).data, first);
    const sum = new Float64Array(16);
    await blas.gram(x, { into: sum });
    expect(await blas.gram(y, { into: sum })).toBe(sum);
    expectClose(
      sum,
      first.map((value, i) => value + second[i]!),
    );
    await expect(blas.gram(x, { into: new Float64Array(9) })).rejects.toThrow('need 16');
  });
});

it('releases twice, and refuses to work afterwards', async () => {
  const own = createMatMul(engine);
  const a = randomMatrix(2, 2, 1);
  await own.multiply(a, a);
  await own.release();
  await own.release();
  await expect(own.multiply(a, a)).rejects.toThrow('released');
});

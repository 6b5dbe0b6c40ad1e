import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { createRandom } from '../../random.js';
import { calibrators } from './calibrators.js';
import { collectStatistics } from './collect.js';
import { histogramBins } from './statistics.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const model = parseModel(`main (float[N,K] x) => (float[N,K] y)
  < float two = {2}, float small = {0.00001}, float large = {100000} >
  { r = Relu(x) s = Mul(r, small) l = Mul(x, large) t = Mul(l, small) u = Add(t, s) y = Mul(u, two) }`);
const names = ['x', 'r', 's', 'l', 'y'];

const feedsOf = (rows: readonly Float32Array[]): Feeds => {
  const columns = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * columns);
  for (const [at, row] of rows.entries()) data.set(row, at * columns);
  return { x: { dataType: 'float', dims: [rows.length, columns], data } };
};
const collect = (samples: readonly Feeds[], histograms = true) =>
  collectStatistics(
    model,
    engine,
    names,
    async function* () {
      yield* samples;
    },
    { histograms },
  );
const rowsOf = (seed: number, count: number, columns = 40) => {
  const random = createRandom(seed);
  return Array.from({ length: count }, () =>
    Float32Array.from({ length: columns }, () => random.normal()),
  );
};

describe('collectStatistics', () => {
  test('the same for every order of the samples, and ranges for every chunking', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 99 }),
      fc.integer({ min: 1, max: 5 }),
      async (seed, chunk) => {
        const rows = rowsOf(seed, 6);
        const single = await collect(rows.map((row) => feedsOf([row])));
        const turned = await collect([...rows].reverse().map((row) => feedsOf([row])));
        const chunks: Feeds[] = [];
        for (let at = 0; at < rows.length; at += chunk) {
          chunks.push(feedsOf(rows.slice(at, at + chunk)));
        }
        const chunked = await collect(chunks);
        for (const name of names) {
          const { meanMin, meanMax, ...rest } = turned.get(name)!;
          expect(single.get(name)).toMatchObject(rest);
          // Sums of doubles: the last bits depend on the order.
          expect(meanMin / single.get(name)!.meanMin || 1).toBeCloseTo(1, 12);
          expect(meanMax / single.get(name)!.meanMax || 1).toBeCloseTo(1, 12);
          const parts = chunked.get(name)!;
          expect(parts.histogram).toEqual(rest.histogram);
          for (const calibrator of calibrators.filter(({ name: n }) => n !== 'moving-average')) {
            const options = { levels: 256, symmetric: false };
            expect(calibrator.range(parts, options)).toEqual(
              calibrator.range(single.get(name)!, options),
            );
          }
        }
      },
    );
    await fc.assert(property, { numRuns: 6 });
  });

  test('exact extremes, all elements, and bins where the values are', async () => {
    const rows = rowsOf(7, 5, 1000);
    const found = await collect(rows.map((row) => feedsOf([row])));
    const all = rows.flatMap((row) => [...row]);
    // 's' is too small for float16 and 'l' too large: both take the pass over floats.
    const scales = { x: 1, s: Math.fround(0.00001), l: 100_000 };
    for (const [name, scale] of Object.entries(scales)) {
      const values = all.map((x) => Math.fround((name === 's' ? Math.max(0, x) : x) * scale));
      const { min, max, elements, samples, histogram } = found.get(name)!;
      expect([min, max]).toEqual([Math.min(...values), Math.max(...values)]);
      expect([elements, samples]).toEqual([5000, 5]);
      const { counts, zeros } = histogram!;
      expect(counts).toHaveLength(histogramBins);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBeCloseTo(5000, 6);
      expect(zeros).toBe(values.filter((value) => value === 0).length);
      // The share below a point is that of the values, to what one bin and float16 can tell.
      for (const at of [0.2, 0.5, 0.8]) {
        const bins = Math.round(at * histogramBins);
        const border = min + (bins / histogramBins) * (max - min);
        const below = counts.subarray(0, bins).reduce((sum, count) => sum + count, 0);
        const slack = 2 * (max - min) * 2 ** -11;
        expect(below).toBeGreaterThanOrEqual(
          values.filter((x) => x < border - slack).length - 1e-6,
        );
        expect(below).toBeLessThanOrEqual(values.filter((x) => x < border + slack).length + 1e-6);
      }
    }
  });

  test('samples of different shapes, and empty ones', async () => {
    const samples = [3, 0, 50].map((columns) => feedsOf(rowsOf(columns + 1, 1, columns)));
    const seen = (await collect(samples)).get('x')!;
    expect([seen.samples, seen.elements]).toEqual([2, 53]);
    expect((await collect([feedsOf(rowsOf(1, 1, 0))])).size).toBe(0);
  });

  test('extremes alone are the same and have no histogram', async () => {
    const samples = rowsOf(3, 4).map((row) => feedsOf([row]));
    const [plain, full] = [await collect(samples, false), await collect(samples)];
    for (const name of names) {
      expect(plain.get(name)).toEqual({ ...full.get(name)!, histogram: undefined });
    }
  });

  test('the model is not changed, and no names ask for no run', async () => {
    const outputs = model.graph.outputs.map(({ name }) => name);
    await collect([feedsOf(rowsOf(1, 1))]);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(outputs);
    const none = await collectStatistics(model, engine, [], async function* () {});
    expect(none.size).toBe(0);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%s has no range', async (bad) => {
    for (const at of [0, 17, 39]) {
      const rows = rowsOf(2, 1);
      rows[0]![at] = bad;
      await expect(collect([feedsOf(rowsOf(1, 1)), feedsOf(rows)])).rejects.toThrow(
        /^calibrate: "x" is NaN or infinite on /,
      );
    }
  });

  test('no samples', async () => {
    await expect(collect([])).rejects.toThrow('there is no sample');
  });
});

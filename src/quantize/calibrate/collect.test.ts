import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
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
  test('the same to the last bit for every order of the samples and every batching', async () => {
    // Samples of a few widths, empty ones among them; only equal ones can share a run.
    const widths = fc.array(fc.constantFrom(0, 1, 7, 40), { minLength: 1, maxLength: 8 });
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 99 }),
      widths.filter((all) => all.some((width) => width > 0)),
      fc.infiniteStream(fc.nat(4)),
      async (seed, given, draws) => {
        const samples = given.map((width, at) => rowsOf(100 * seed + at, 1, width)[0]!);
        const single = await collect(samples.map((row) => feedsOf([row])));
        const runs: Float32Array[][] = [];
        // Turned around, sorted by width, and cut anywhere; a run may have no sample at all.
        for (const row of [...samples].reverse().sort((a, b) => a.length - b.length)) {
          const last = runs.at(-1);
          if (last?.[0]?.length === row.length && draws.next().value > 1) last.push(row);
          else runs.push([row]);
          if (draws.next().value === 0) runs.push([]);
        }
        const batched = await collect(runs.map((rows) => feedsOf(rows)));
        expect(batched).toEqual(single);
        const [plain, plainBatched] = [
          await collect(
            samples.map((row) => feedsOf([row])),
            false,
          ),
          await collect(
            runs.map((rows) => feedsOf(rows)),
            false,
          ),
        ];
        expect(plainBatched).toEqual(plain);
        const seen = [...single.values()];
        for (const { range } of calibrators) {
          const options = { levels: 256, symmetric: false };
          expect([...batched.values()].map((each) => range(each, options))).toEqual(
            seen.map((each) => range(each, options)),
          );
        }
      },
    );
    await fc.assert(property, { numRuns: 12 });
  });

  test('moving-average is the mean over samples, also of values with the batch inside', async () => {
    const turned = parseModel(`main (float[N,2] x) => (float[2,N] t, float[2] y)
      < int64[1] axes = {0} > { t = Transpose<perm = [1,0]>(x) y = ReduceSum<keepdims = 0>(x, axes) }`);
    const run = { x: hostTensor('float', [3, 2], Float32Array.of(1, -2, 3, 5, 8, 4)) };
    const found = await collectStatistics(turned, engine, ['t', 'y'], async function* () {
      yield run;
    });
    expect(found.get('t')).toMatchObject({
      samples: 3,
      meanMin: (-2 + 3 + 4) / 3,
      meanMax: 14 / 3,
    });
    // No batch axis: its range in the run stands for each of the three.
    expect(found.get('y')).toMatchObject({ samples: 3, meanMin: 7, meanMax: 12 });
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
      expect(counts.reduce((sum, count) => sum + count, 0)).toBeCloseTo(5000, 2);
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
    for (const histograms of [true, false]) {
      for (const at of [0, 17, 39]) {
        const rows = rowsOf(2, 1);
        rows[0]![at] = bad;
        const samples = [feedsOf(rowsOf(1, 1)), feedsOf(rows)];
        await expect(collect(samples, histograms)).rejects.toThrow(
          /^calibrate: "x" is NaN or infinite on sample 1, so it has no range/,
        );
      }
    }
  });

  test('no samples', async () => {
    await expect(collect([])).rejects.toThrow('there is no sample');
  });
});

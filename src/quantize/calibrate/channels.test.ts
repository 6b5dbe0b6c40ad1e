import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { createRandom } from '../../random.js';
import { collectChannels } from './channels.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const models = [17, 18].map((opset) =>
  parseModel(`< ir_version: 8, opset_import: ["" : ${opset}] >
    main (float[N,3,W] x) => (float[N,3,W] y) { y = Neg(x) }`),
);
const channels = 3;

const collect = (model: (typeof models)[number], feeds: readonly Feeds[], axis = 1) =>
  collectChannels(model, engine, [{ name: 'x', axis }], async function* () {
    yield* feeds;
  });
const feedsOf = (rows: number, width: number, seed: number): Feeds => {
  const random = createRandom(seed);
  const data = Float32Array.from({ length: rows * channels * width }, () => random.normal());
  return { x: hostTensor('float', [rows, channels, width], data) };
};

test('what a loop over the numbers finds, for runs of any shape, empty ones too', async () => {
  const runs = fc.array(fc.tuple(fc.nat(3), fc.nat(5)), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(runs, fc.nat(1), async (shapes, which) => {
      const feeds = shapes.map(([rows, width], at) => feedsOf(rows, width, at + 1));
      const expected = Array.from({ length: channels }, (): number[] => []);
      for (const { x } of feeds) {
        const width = x!.dims[2]!;
        for (const [at, value] of [...(x!.data as Float32Array)].entries()) {
          expected[Math.floor(at / width) % channels]!.push(value);
        }
      }
      const found = (await collect(models[which]!, feeds)).get('x');
      const elements = expected[0]!.length;
      expect(found?.elements).toBe(elements === 0 ? undefined : elements);
      if (!found) return;
      for (const [c, values] of expected.entries()) {
        const mean = (f: (x: number) => number) =>
          values.reduce((sum, value) => sum + f(value), 0) / values.length;
        expect(found.min[c]).toBe(Math.min(...values));
        expect(found.max[c]).toBe(Math.max(...values));
        expect(found.mean[c]).toBeCloseTo(
          mean((x) => x),
          5,
        );
        expect(found.meanSquare[c]).toBeCloseTo(
          mean((x) => x * x),
          5,
        );
      }
    }),
    { numRuns: 10 },
  );
});

test('any axis', async () => {
  const feeds = { x: hostTensor('float', [1, 3, 2], Float32Array.of(1, -2, 3, 4, -5, 6)) };
  const { min, max, mean } = (await collect(models[0]!, [feeds], 2)).get('x')!;
  expect([[...min], [...max], [...mean]]).toEqual([
    [-5, -2],
    [3, 6],
    [-1 / 3, 8 / 3].map((x) => expect.closeTo(x, 6)),
  ]);
});

test('a channel that holds NaN or infinity is named with its sample', async () => {
  for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const data = Float32Array.of(1, 2, 3, 4, bad, 6);
    const second = { x: hostTensor('float', [1, 3, 2], data) };
    await expect(collect(models[0]!, [feedsOf(1, 2, 1), second])).rejects.toThrow(
      /"x, channel 2" is NaN or infinite on sample 1/,
    );
  }
  await expect(collect(models[0]!, [])).rejects.toThrow('there is no sample');
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Feeds } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { valueRanges } from './ranges.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

async function* samples(...rows: readonly (readonly number[])[]): AsyncGenerator<Feeds> {
  for (const row of rows) yield { x: hostTensor('float', [row.length], Float32Array.from(row)) };
}

const model = (opset = 17) =>
  parseModel(`< ir_version: 4, opset_import: ["" : ${opset}] >
    main (float[N] x) => (float[N] y) { h = Mul(x, x) y = Neg(h) }`);

test.each([7, 11, 13, 18])('smallest and largest over all samples, opset %i', async (opset) => {
  const ranges = await valueRanges(
    model(opset),
    engine,
    ['x', 'h', 'y'],
    samples([1, -2, 3], [0.5], [-5, 2]),
  );
  expect(Object.fromEntries(ranges)).toEqual({
    x: { min: -5, max: 3 },
    h: { min: 0.25, max: 25 },
    y: { min: -25, max: -0.25 },
  });
});

test('the order of the samples does not matter', async () => {
  const rows = [[1, -2, 3], [0.5], [-5, 2]];
  const forward = await valueRanges(model(), engine, ['h'], samples(...rows));
  const backward = await valueRanges(model(), engine, ['h'], samples(...rows.reverse()));
  expect(backward).toEqual(forward);
});

test('the model is not changed, and no tensor comes back', async () => {
  const given = model();
  const before = await printModel(given);
  let most = 0;
  const watched: Engine = Object.create(engine, {
    createSession: {
      value: async (...args: Parameters<Engine['createSession']>) => {
        const session = await engine.createSession(...args);
        return Object.create(session, {
          run: {
            value: async (...run: Parameters<typeof session.run>) => {
              const results = await session.run(...run);
              for (const { data } of Object.values(results)) most = Math.max(most, data.length);
              return results;
            },
          },
          release: { value: () => session.release() },
        });
      },
    },
  });
  const large = Array.from({ length: 10_000 }, (_, i) => i);
  await valueRanges(given, watched, ['x', 'h', 'y'], samples(large, large));
  expect(most).toBe(1);
  expect(await printModel(given)).toBe(before);
});

test.each([0, 1, 5, 19, 63])('a NaN at place %i shows, whatever comes later', async (place) => {
  const row = Array.from({ length: 64 }, (_, i) => (i === place ? Number.NaN : i));
  const ranges = await valueRanges(model(), engine, ['h'], samples(row, [1, 2]));
  expect(ranges.get('h')).toEqual({ min: Number.NaN, max: Number.NaN });
});

test('infinities show', async () => {
  const ranges = await valueRanges(model(), engine, ['h'], samples([1e30, 1], [1, 2]));
  expect(ranges.get('h')).toEqual({ min: 1, max: Number.POSITIVE_INFINITY });
});

test('an empty tensor says nothing', async () => {
  const ranges = await valueRanges(model(), engine, ['h'], samples([], [2]));
  expect(ranges.get('h')).toEqual({ min: 4, max: 4 });
  const none = await valueRanges(model(), engine, ['h'], samples([]));
  expect(none.has('h')).toBe(false);
});

test('cancelling stops between samples', async () => {
  const controller = new AbortController();
  async function* endless(): AsyncGenerator<Feeds> {
    for (;;) {
      yield* samples([1]);
      controller.abort();
    }
  }
  await expect(
    valueRanges(model(), engine, ['h'], endless(), controller.signal),
  ).rejects.toMatchObject({ code: 'aborted' });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { type QuantizeOptions, quantizeDynamic } from '../testing/node-dynamic.js';
import { firstOutput, opsOf, runModel, snr } from '../testing/node-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const quantized = (text: string, options?: QuantizeOptions) =>
  quantizeDynamic(engine, text, options);

describe('Gather', () => {
  test.each([
    [0, '[50,16]', '[2,3]', '[2,3,16]'],
    [1, '[16,50]', '[4]', '[16,4]'],
    [-1, '[16,50]', '[]', '[16]'],
    [0, '[50,4,4]', '[3]', '[3,4,4]'],
  ])('along axis %i of %s', async (axis, table, ids, y) => {
    const { model, small } = await quantized(
      `main (int64${ids === '[]' ? '' : ids} ids) => (float${y} y) < float${table} w = normal(seed=1) >
       { y = Gather<axis = ${axis}>(w, ids) }`,
    );
    const { feeds, outputs } = await runModel(engine, model);
    const found = await firstOutput(engine, small, feeds);
    const weights = await model.graph.value('w').initializer!.floats();
    const halfStep = Math.max(...weights.map(Math.abs)) / 127 / 2;
    const [a, b] = [float32Of(outputs.y!), found];
    expect(a.every((value, i) => Math.abs(value - b[i]!) <= halfStep * 1.001)).toBe(true);
    // The whole table must not turn to float in every run.
    expect(opsOf(small)).toEqual({ Gather: 2, Cast: 1, Mul: 1 });
  });

  test('float16 tables give float16', async () => {
    const { model, small } = await quantized(
      `main (int64[4] ids) => (float16[4,16] y) < float16[50,16] w = normal(seed=1) >
       { y = Gather(w, ids) }`,
    );
    const { feeds, outputs } = await runModel(engine, model);
    const results = await runModel(engine, small, feeds);
    expect(results.outputs.y!.dataType).toBe('float16');
    expect(snr(float32Of(outputs.y!), float32Of(results.outputs.y!))).toBeGreaterThan(35);
  });

  test('short rows, vectors and integers are refused', async () => {
    const { report } = await quantized(
      `main (int64[4] ids) => (float[4,2] a, float[4] b, int64[4] c)
       < float[500,2] t = normal(), float[500] u = normal(), int64[500] v = range() >
       { a = Gather(t, ids) b = Gather(u, ids) c = Gather(v, ids) }`,
    );
    expect(report.skipped.map(({ reason }) => reason)).toEqual([
      'its rows have 2 elements, the scales would weigh as much',
      'its table is a vector',
      'its weight is int64, which is no float type',
    ]);
  });
});

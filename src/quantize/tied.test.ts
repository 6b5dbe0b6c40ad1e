/** A table that is both embedding and output layer is stored once, and still runs on integers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { applyPass } from '../pass.js';
import { fileBytes, firstOutput, optimizedOps, snr } from '../testing/node-models.js';
import { dynamic } from './dynamic.js';
import { weightOnly } from './weight-only.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const tied = () =>
  parseModel(`main (int64[1,5] ids) => (float[1,5,100] logits)
    < float[100,64] table = normal(seed=1, std=0.1) >
    { x = Gather(table, ids)
      h = Relu(x)
      w = Transpose<perm = [1, 0]>(table)
      logits = MatMul(h, w) }`);

test.each([
  ['dynamic', (m: ReturnType<typeof tied>) => applyPass(m, dynamic, {}), 'DynamicQuantizeMatMul'],
  ['weight-only', (m: ReturnType<typeof tied>) => applyPass(m, weightOnly, {}), 'MatMulNBits'],
] as const)('%s', async (_name, quantize, fused) => {
  const model = tied();
  const { model: small, report } = await quantize(model);
  expect(report.changed).toHaveLength(2);
  const stored = small.graph.initializers.filter((v) => v.initializer!.dataType === 'int8');
  expect(stored.filter((value) => value.initializer!.size === 6400)).toHaveLength(1);
  expect(await fileBytes(small)).toBeLessThan(0.35 * (await fileBytes(model)));
  // The runtime folds the Transpose of the integers at load, and fuses as if there were none.
  const ops = await optimizedOps(engine, small);
  expect(ops).toMatchObject({ [fused]: 1 });
  expect(ops.Transpose ?? 0).toBe(0);
  expect(snr(await firstOutput(engine, model), await firstOutput(engine, small))).toBeGreaterThan(
    30,
  );
});

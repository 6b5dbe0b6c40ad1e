/** A square root that meets zeros: training says where the gradient breaks and what to freeze. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { iterableDataset } from '../data/index.js';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { finetune } from './finetune.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Magnitudes of filtered samples, as spectrograms are made. */
const student = parseModel(`
main (float[N,4] x) => (float[N,3] y)
<
  float[4,4] filter = normal(seed=1, mean=0, std=1),
  float[4,3] weight = normal(seed=2, mean=0, std=1),
  float[3] bias = {0, 0, 0}
>
{
  [filters] f = MatMul(x, filter)
  square = Mul(f, f)
  [root] magnitude = Sqrt(square)
  [classify] z = MatMul(magnitude, weight)
  [shift] y = Add(z, bias)
}`);

const samples = Array.from({ length: 8 }, (_, at) => ({
  inputs: { x: Float32Array.of(at % 4, 0, at % 2, 0) },
  label: at % 3,
}));

const request = async (freeze: string[]) => ({
  student,
  dataset: await iterableDataset(samples, 'tones'),
  train: Uint32Array.from(samples.keys()),
  validate: new Uint32Array(),
  engine,
  options: { epochs: 1, batchSize: 4, freeze },
});

test('names the node, and the freeze that trains the rest', async () => {
  const failed = finetune(await request([]));
  await expect(failed).rejects.toMatchObject({
    code: 'quality',
    where: { node: 'root' },
    message: expect.stringMatching(/"square", which "root" \(Sqrt\) takes, is no number in step 1/),
    hint: expect.stringContaining("--freeze 'filters'"),
  });
  const { trained } = await finetune(await request(['filters']));
  expect(trained).toEqual(['weight', 'bias']);
});

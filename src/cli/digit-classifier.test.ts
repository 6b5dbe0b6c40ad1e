import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { encode } from '../load.js';
import { digitClassifier } from './digit-classifier.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

test('the network of the demo is the same for one seed, and gives ten logits', async () => {
  const bytes = async (seed: number) => Buffer.concat(await encode(digitClassifier(seed)));
  expect(await bytes(3)).toEqual(await bytes(3));
  expect(await bytes(3)).not.toEqual(await bytes(4));
  const session = await engine.createSession(await modelSource(digitClassifier(3)));
  const { logits } = await session.run(randomFeeds(session.inputs, { dims: { N: 5 } }));
  expect(logits!.dims).toEqual([5, 10]);
  // Neither dead nor saturated.
  const numbers = logits!.data as Float32Array;
  expect(Math.max(...numbers.map(Math.abs))).toBeGreaterThan(0.05);
  expect(Math.max(...numbers.map(Math.abs))).toBeLessThan(20);
  await session.release();
});

/** The estimate against sizes that were counted by hand, and the refusal that it leads to. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { checkMemory, estimateMemory } from './memory.js';
import { optimizerOptions } from './optimizers/index.js';
import { buildStep } from './step.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const text = `
<ir_version: 9, opset_import: ["" : 18]>
net (float[batch,4] x) => (float[batch,3] y)
<float[4,3] w = {1,2,3,4,5,6,7,8,9,10,11,12}>
{
  y = MatMul(x, w)
}`;

async function estimate(optimizer: 'sgd' | 'adam', batch: number) {
  const step = await buildStep(
    await parseModel(text),
    {
      losses: [{ loss: 'mse', output: 'y', target: 'target' }],
      optimizer: optimizerOptions.parse({ optimizer }),
    },
    engine,
  );
  const ports = [{ name: 'x', dataType: 'float' as const, dims: ['batch', 4] }];
  const feeds = { x: hostTensor('float', [batch, 4], new Float32Array(4 * batch)) };
  return estimateMemory(step, ports, feeds, engine);
}

test('weights and their state count three times, activations grow with the batch', async () => {
  const sgd = await estimate('sgd', 8);
  const adam = await estimate('adam', 8);
  // 12 floats, with one slot (momentum) or two (moments).
  expect(sgd.stateBytes).toBe(3 * 2 * 48);
  expect(adam.stateBytes).toBe(3 * 3 * 48);
  expect(adam.bestBytes).toBe(48);
  const small = await estimate('sgd', 1000);
  const large = await estimate('sgd', 2000);
  expect(large.unknownValues).toBe(0);
  // The output and its gradient at least, each of three floats per sample.
  expect(large.activationBytes - small.activationBytes).toBeGreaterThanOrEqual(1000 * 2 * 12);
  expect(large.activationBytes - small.activationBytes).toBeLessThanOrEqual(1000 * 5 * 12);
});

test('a run that does not fit is refused with what would help', async () => {
  const found = await estimate('sgd', 1000);
  checkMemory(found, found.totalBytes, 1000);
  expect(() => checkMemory(found, found.totalBytes - 1, 1000)).toThrow(
    expect.objectContaining({ code: 'unsupported', hint: expect.stringContaining('250') }),
  );
  expect(() => checkMemory({ ...found, activationBytes: 0 }, 1, 1000)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('--optimizer sgd') }),
  );
});

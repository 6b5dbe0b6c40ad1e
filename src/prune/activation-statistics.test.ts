/** Means of activations against sums by hand, in old operator sets as in new ones. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { passContext } from '../pass.js';
import { activationStatistics } from './activation-statistics.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const feeds = [
  [1, -2, 3, 4],
  [-1, 0, 5, 0],
];
async function* samples() {
  for (const x of feeds) yield { x: hostTensor('float', [2, 2], Float32Array.from(x)) };
}

test.each([7, 9, 13, 18, 21])('means per channel in opset %i', async (opset) => {
  const model = parseModel(`<ir_version: 8, opset_import: ["" : ${opset}]>
main (float[2,2] x) => (float[2,2] y) {
  r = Relu(x)
  y = Neg(r)
}`);
  const found = await activationStatistics(
    model,
    [{ name: 'r', axis: 1, rank: 2 }],
    passContext({ engine, samples }),
  );
  // Relu gives [1, 0; 3, 4] and [0, 0; 5, 0].
  expect(found.get('r')).toEqual({
    meanMagnitude: Float64Array.of(9 / 4, 1),
    meanSquare: Float64Array.of(35 / 4, 4),
    zeroShare: Float64Array.of(1 / 4, 3 / 4),
  });
});

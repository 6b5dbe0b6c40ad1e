/**
 * Attributions against their definitions. The network is that of Captum's tests (BasicModel_MultiLayer:
 * identity, ones with biases [-10, 1, 1, 1], ReLU, ones with biases [-1, 1]); the numbers are those
 * of its published cases and follow by hand: for x = [0, 100, 0] the first hidden unit is on for
 * nine tenths of the way from zero, the others for all of it.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import type { Attributor, LayerMethod } from './attribution.js';
import { openAttributor } from './open-attributor.js';

let engine: Engine;
let captum: Attributor;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  const model = parseModel(`<ir_version: 10, opset_import: ["" : 18]>
    main (float[N,3] x) => (float[N,2] linear2)
    <float[3,3] w0 = {1, 0, 0, 0, 1, 0, 0, 0, 1},
     float[3,4] w1 = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, float[4] b1 = {-10, 1, 1, 1},
     float[4,2] w2 = {1, 1, 1, 1, 1, 1, 1, 1}, float[2] b2 = {-1, 1}> {
      linear0 = MatMul(x, w0)
      linear1 = Gemm(linear0, w1, b1)
      relu = Relu(linear1)
      linear2 = Gemm(relu, w2, b2)
    }`);
  captum = await openAttributor(model, { engine });
});
afterAll(async () => {
  await captum.close();
  await engine.close();
});

const sample = (...x: number[]) => ({
  x: hostTensor('float', [1, x.length], Float32Array.from(x)),
});

function close(actual: ArrayLike<number>, expected: readonly number[]) {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]!).toBeCloseTo(value, 4);
}

describe('conductance of one neuron, by input', () => {
  test.each([
    { value: 'linear2', neuron: 0, x: [0, 100, 0], expected: [0, 390, 0] },
    { value: 'linear1', neuron: 0, x: [0, 100, 0], expected: [0, 90, 0] },
    { value: 'relu', neuron: 3, x: [0, 70, 30], expected: [0, 70, 30] },
  ])('$value $neuron', async ({ value, neuron, x, expected }) => {
    const result = await captum.neuron(sample(...x), 0, value, neuron);
    close(result.get('x')!, expected);
  });
});

describe('layers', () => {
  const cases: { method: LayerMethod; value: string; expected: number[] }[] = [
    { method: 'conductance', value: 'linear0', expected: [0, 390, 0] },
    { method: 'conductance', value: 'linear1', expected: [90, 100, 100, 100] },
    { method: 'conductance', value: 'relu', expected: [90, 100, 100, 100] },
    { method: 'conductance', value: 'linear2', expected: [390, 0] },
    { method: 'internal-influence', value: 'linear0', expected: [3.9, 3.9, 3.9] },
    { method: 'internal-influence', value: 'linear1', expected: [0.9, 1, 1, 1] },
    { method: 'internal-influence', value: 'relu', expected: [1, 1, 1, 1] },
    { method: 'gradient-activation', value: 'relu', expected: [90, 101, 101, 101] },
  ];
  test.each(cases)('$method of $value', async ({ method, value, expected }) => {
    close(float32Of(await captum.layer(sample(0, 100, 0), 0, method, value)), expected);
  });
});

describe('inputs', () => {
  test('integrated gradients are complete: their sum is the change of the output', async () => {
    const { values, completenessError } = await captum.input(
      sample(0, 100, 0),
      0,
      'integrated-gradients',
    );
    close(values.get('x')!, [0, 390, 0]);
    expect(completenessError).toBeCloseTo(0, 3);
  });

  test('a baseline is where the path begins', async () => {
    const { values } = await captum.input(sample(0, 100, 0), 0, 'integrated-gradients', {
      baseline: sample(0, 20, 0),
    });
    close(values.get('x')!, [0, 320, 0]);
  });

  test('saliency and gradient times input', async () => {
    close((await captum.input(sample(0, 1, 0), 0, 'saliency')).values.get('x')!, [3, 3, 3]);
    const product = await captum.input(sample(0, 100, 0), 0, 'gradient-input');
    close(product.values.get('x')!, [0, 400, 0]);
  });

  test('a product shares its change evenly: the path integral of x y is x y / 2 for each', async () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["" : 18]>
      main (float[N,1] a, float[N,1] b) => (float[N,2] y)
      { p = Mul(a, b)
        n = Neg(p)
        y = Concat<axis = 1>(p, n) }`);
    const attributor = await openAttributor(model, { engine });
    const number = fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround);
    await fc.assert(
      fc.asyncProperty(number, number, async (a, b) => {
        const feeds = {
          a: hostTensor('float', [1, 1], Float32Array.of(a)),
          b: hostTensor('float', [1, 1], Float32Array.of(b)),
        };
        const { values } = await attributor.input(feeds, 0, 'integrated-gradients', { steps: 4 });
        expect(values.get('a')![0]).toBeCloseTo((a * b) / 2, 4);
        expect(values.get('b')![0]).toBeCloseTo((a * b) / 2, 4);
      }),
      { numRuns: 20 },
    );
    await attributor.close();
  });

  test('without a class per sample there is nothing to attribute', async () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["" : 18]>
      main (float[N,4,4] x) => (float[N,4,4] y) { y = Relu(x) }`);
    await expect(openAttributor(model, { engine })).rejects.toThrow(
      'the first output is [N,4,4], not a class per sample',
    );
  });
});

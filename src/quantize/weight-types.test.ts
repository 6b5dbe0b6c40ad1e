import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';
import { runModel } from '../testing/node-models.js';
import { weightTypes } from './names.js';
import { decodeWeight, encodeWeight, isSymmetric } from './weight-types.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

test('signed integers are symmetric unless asked otherwise, unsigned ones are not', () => {
  const symmetric = weightTypes.filter((type) => isSymmetric(type, undefined));
  expect(symmetric).toEqual(['int8', 'int4', 'int16', 'float8e4m3fn']);
  expect(isSymmetric('uint8', true)).toBe(true);
  expect(isSymmetric('int4', false)).toBe(false);
});

test('float8: the peak of every channel becomes 448, and the error is at most 1/16 of a weight', () => {
  const format = { dataType: 'float8e4m3fn' } as const;
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(1e-20, 1, 1e20), (seed, std) => {
      const random = createRandom(seed);
      const weights = Float32Array.from({ length: 60 }, () => std * random.normal());
      const layout = { dims: [3, 20], axis: 0 };
      const encoded = encodeWeight(weights, layout, format);
      const back = decodeWeight(encoded, layout);
      for (const [i, weight] of weights.entries()) {
        const scale = encoded.scales[Math.floor(i / 20)]!;
        // Below 2^-6 the steps are 2^-9.
        const bound = Math.max(Math.abs(weight) / 16, scale * 2 ** -10);
        expect(Math.abs(back[i]! - weight)).toBeLessThanOrEqual(bound * 1.0001);
      }
      expect(Math.max(...encoded.values.map((code) => code & 0x7f))).toBe(0x7e);
    }),
  );
});

test('float8: NaN is an error with its channel', () => {
  const weights = Float32Array.of(1, 2, Number.NaN, 3);
  const run = () =>
    encodeWeight(weights, { dims: [2, 2], axis: 0 }, { dataType: 'float8e4m3fn' }, 'w');
  expect(run).toThrow('1 weights are NaN or infinite, the first in channel 1 (tensor "w")');
});

test('float8: 100,000 values are those of QuantizeLinear, ties and saturation among them', async () => {
  const dims = [100, 1000];
  const random = createRandom(5);
  const values = Float32Array.from({ length: 100_000 }, (_, i) => {
    const exponent = random.int(22) - 12;
    // Sixteenths of a power of two: every second one lies between two numbers of 3 bits.
    const fraction = i % 2 === 0 ? random.int(16) / 16 : random.next();
    return (random.next() < 0.5 ? -1 : 1) * (1 + fraction) * 2 ** exponent;
  });
  // The first value of every row is its peak, so that the scale is 1 and ties stay ties.
  for (let row = 0; row < 100; row++) values[row * 1000] = row % 2 === 0 ? 448 : -448;
  for (const [i, value] of values.entries()) if (Math.abs(value) > 448) values[i] = 448;
  const layout = { dims, axis: 0 };
  const encoded = encodeWeight(values, layout, { dataType: 'float8e4m3fn' });
  const model = parseModel(`< ir_version: 9, opset_import: ["" : 19] >
    main (float[100,1000] x) => (float[100,1000] codes, float[100,1000] back)
    < float[100] s = fill(value=1), uint8[100] z = fill(value=0), float one = {1} >
    { q = QuantizeLinear<axis = 0>(x, s, z) codes = DequantizeLinear(q, one)
      back = DequantizeLinear<axis = 0>(q, s, z) }`);
  model.graph.value('s').initializer = Tensor.of('float', [100], encoded.scales);
  const zeros = Tensor.of('float8e4m3fn', [100], new Uint8Array(100));
  model.graph.value('z').initializer = zeros;
  const feeds = { x: hostTensor('float', dims, values) };
  const { outputs } = await runModel(engine, model, feeds, 'disabled');
  const ones = new Float32Array(100).fill(1);
  expect(outputs.codes!.data).toEqual(decodeWeight({ ...encoded, scales: ones }, layout));
  expect(outputs.back!.data).toEqual(decodeWeight(encoded, layout));
});

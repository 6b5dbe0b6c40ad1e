import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';
import { runModel } from '../testing/node-models.js';
import { dequantizeWeight, quantizeWeight, roundHalfEven } from './integers.js';

const int8 = { dataType: 'int8' } as const;
const uint8 = { dataType: 'uint8' } as const;
const whole = (length: number) => ({ dims: [length], axis: undefined });

test('ties go to the even neighbor', () => {
  const ties = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5];
  expect(ties.map((x) => roundHalfEven(x) + 0)).toEqual([0, 2, 2, 0, -2, -2, 126]);
  expect([0.49, 0.51, -3.2].map((x) => roundHalfEven(x) + 0)).toEqual([0, 1, -3]);
});

describe('symmetric scales', () => {
  test('zero stays zero, the peak becomes 127, ties go to even', () => {
    const { values, scales, zeroPoints } = quantizeWeight(
      Float32Array.of(0, 127, -127, 2.5, 3.5, -2.5, 1),
      whole(7),
      int8,
    );
    expect(scales).toEqual(Float32Array.of(1));
    expect([...values]).toEqual([0, 127, -127, 2, 4, -2, 1]);
    expect([...zeroPoints]).toEqual([0]);
  });

  test('uint8 holds the same codes moved by 128', () => {
    const { values, zeroPoints } = quantizeWeight(Float32Array.of(0, 127, -127), whole(3), uint8);
    expect([...values]).toEqual([128, 255, 1]);
    expect([...zeroPoints]).toEqual([128]);
  });

  test('reduceRange keeps seven bits', () => {
    const format = { ...int8, reduceRange: true };
    const { values, scales } = quantizeWeight(Float32Array.of(63, -63, 1), whole(3), format);
    expect([...values]).toEqual([63, -63, 1]);
    expect(scales[0]).toBe(1);
  });

  test('a channel of zeros has scale 1, like one that is too small for a scale', () => {
    const weights = Float32Array.of(0, 0, 1e-40, -1e-40, 1, 2);
    const layout = { dims: [3, 2], axis: 0 };
    const { values, scales } = quantizeWeight(weights, layout, int8);
    expect([...scales]).toEqual([1, 1, Math.fround(2 / 127)]);
    expect([...values].slice(0, 4)).toEqual([0, 0, 0, 0]);
  });

  test('the largest float32 does not overflow', () => {
    const largest = 3.4028234663852886e38;
    const weights = Float32Array.of(largest, -largest);
    const quantized = quantizeWeight(weights, whole(2), int8);
    expect([...quantized.values]).toEqual([127, -127]);
    expect(Number.isFinite(quantized.scales[0])).toBe(true);
  });

  test('NaN and infinities are counted, with the first channel and the tensor', () => {
    const weights = Float32Array.of(1, 2, 3, Number.NaN, Number.POSITIVE_INFINITY, 6);
    expect(() => quantizeWeight(weights, { dims: [3, 2], axis: 0 }, int8, 'fc.weight')).toThrow(
      'quantize: 2 weights are NaN or infinite, the first in channel 1 (tensor "fc.weight")',
    );
  });
});

const cases = fc
  .record({
    dims: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    axisChoice: fc.nat(),
    seed: fc.nat(),
    std: fc.constantFrom(1e-30, 1e-3, 1, 1e6),
    reduceRange: fc.boolean(),
    dataType: fc.constantFrom('int8' as const, 'uint8' as const),
  })
  .map(({ dims, axisChoice, seed, std, ...format }) => {
    const axis = axisChoice % (dims.length + 1);
    const random = createRandom(seed);
    const count = dims.reduce((product, dim) => product * dim, 1);
    const weights = Float32Array.from({ length: count }, () => std * random.normal());
    return { weights, layout: { dims, axis: axis < dims.length ? axis : undefined }, format };
  });

/** The channel of every element, worked out from its index. */
function channelOf(index: number, dims: readonly number[], axis: number | undefined): number {
  if (axis === undefined) return 0;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  return Math.floor(index / inner) % dims[axis]!;
}

test('the error is at most half a step, in every channel along any axis', () => {
  fc.assert(
    fc.property(cases, ({ weights, layout, format }) => {
      const quantized = quantizeWeight(weights, layout, format);
      const back = dequantizeWeight(quantized, layout);
      for (const [i, weight] of weights.entries()) {
        const scale = quantized.scales[channelOf(i, layout.dims, layout.axis)]!;
        // Products and quotients are rounded to float32, which adds a few parts in 2^24 of 127 steps.
        expect(Math.abs(weight - back[i]!)).toBeLessThanOrEqual(scale * (0.5 + 1e-4));
      }
    }),
  );
});

test('quantizing what came back changes nothing', () => {
  fc.assert(
    fc.property(cases, ({ weights, layout, format }) => {
      const once = quantizeWeight(weights, layout, format);
      const twice = quantizeWeight(dequantizeWeight(once, layout), layout, format);
      expect(twice.values).toEqual(once.values);
    }),
  );
});

describe('against the runtime', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createNodeEngine({ threads: 1 });
  });
  afterAll(() => engine.close());

  test.each([0, 1, 2])(
    'codes and floats are those of QuantizeLinear along axis %i',
    async (axis) => {
      const dims = [7, 31, 43];
      const random = createRandom(axis);
      const steps = dims[axis]!;
      // Every second element lies on a tie of its channel; the first of each channel is its peak.
      const scaleOf = (channel: number) => Math.fround(0.001 * (channel + 1));
      const seen = new Set<number>();
      const weights = Float32Array.from({ length: 7 * 31 * 43 }, (_, i) => {
        const channel = channelOf(i, dims, axis);
        const scale = scaleOf(channel);
        if (!seen.has(channel)) {
          seen.add(channel);
          return 127 * scale;
        }
        return i % 2 === 0
          ? (random.int(252) - 126 + 0.5) * scale
          : (random.next() * 254 - 127) * scale;
      });
      const layout = { dims, axis };
      const { values, scales, zeroPoints } = quantizeWeight(weights, layout, int8);
      const model = parseModel(`
      main (float[7,31,43] x) => (int8[7,31,43] q, float[7,31,43] back)
      < float[${steps}] scale = fill(value=0), int8[${steps}] zero = fill(value=0) >
      { q = QuantizeLinear<axis = ${axis}>(x, scale, zero)
        back = DequantizeLinear<axis = ${axis}>(q, scale, zero) }`);
      model.graph.value('scale').initializer = Tensor.of('float', [steps], scales);
      const feeds = { x: hostTensor('float', dims, weights) };
      const { outputs } = await runModel(engine, model, feeds, 'disabled');
      expect(outputs.q!.data).toEqual(values);
      const back = dequantizeWeight({ values, scales, zeroPoints }, layout);
      expect(outputs.back!.data).toEqual(back);
    },
  );
});

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { elementCount } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom } from '../random.js';
import { runModel } from '../testing/node-models.js';
import {
  dequantizeLinear,
  dynamicQuantizeLinear,
  type QuantizedType,
  quantizeLinear,
  type ScaleLayout,
} from './kernels.js';

const limits: Record<QuantizedType, readonly [number, number]> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  uint4: [0, 15],
  int4: [-8, 7],
};
const types = Object.keys(limits) as QuantizedType[];

test('ties go to even before the zero point is added, and the ends saturate', () => {
  const values = Float32Array.of(0.5, 1.5, -0.5, -1.5, 300, -300, 0);
  expect([...quantizeLinear(values, 1, 3, 'uint8')]).toEqual([3, 5, 3, 1, 255, 0, 3]);
  expect([...quantizeLinear(values, 1, 0, 'int4')]).toEqual([0, 2, 0, -2, 7, -8, 0]);
});

test('a narrower range than the type has', () => {
  const values = Float32Array.of(-200, 200);
  expect([...quantizeLinear(values, 1, 0, 'int8', { low: -63, high: 63 })]).toEqual([-63, 63]);
});

test('infinities saturate, NaN is an error with its place', () => {
  const values = Float32Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
  expect([...quantizeLinear(values, 0.1, 7, 'uint8')]).toEqual([255, 0]);
  expect(() => quantizeLinear(Float32Array.of(1, Number.NaN), 0.1, 0, 'int8')).toThrow(
    'quantize: element 1 is NaN and its scale 0.1',
  );
});

test('scales that do not fit the dims are refused with the numbers', () => {
  const six = new Float32Array(6);
  const two = new Float32Array(2).fill(1);
  expect(() => quantizeLinear(six, two, 0, 'int8', { dims: [2, 3], axis: 1 })).toThrow(
    '2 scales given, dims [2,3] need 3',
  );
  expect(() => quantizeLinear(six, two, 0, 'int8', { axis: 1 })).toThrow('axis 1 of dims []');
  expect(() => quantizeLinear(six, two, 0, 'int8')).toThrow('2 scales given');
});

test('a negative axis counts from the end', () => {
  const values = Float32Array.of(1, 2, 3, 4);
  const scales = Float32Array.of(1, 2);
  const layout = (axis: number) => ({ dims: [2, 2], axis });
  expect(quantizeLinear(values, scales, 0, 'int8', layout(-2))).toEqual(
    quantizeLinear(values, scales, 0, 'int8', layout(0)),
  );
});

test('int32 biases round to float32 before they are scaled', () => {
  // 2^24 + 1 is no float32: the runtime rounds it to 2^24 first.
  const [value] = dequantizeLinear(Int32Array.of(2 ** 24 + 1), 3, 0);
  expect(value).toBe(3 * 2 ** 24);
});

describe('dynamic', () => {
  test('values of zeros have scale 1', () => {
    const zeros = dynamicQuantizeLinear(new Float32Array(3));
    expect(zeros).toEqual({ values: new Uint8Array(3), scale: 1, zeroPoint: 0 });
  });
});

/** Where the layout has the scale of an element, worked out from its index. */
function scaleIndex(index: number, { dims, axis, blockSize }: ScaleLayout): number {
  if (axis === undefined) return 0;
  const inner = elementCount(dims!.slice(axis + 1));
  const channel = Math.floor(index / inner) % dims![axis]!;
  if (!blockSize) return channel;
  const blocks = Math.ceil(dims![axis]! / blockSize);
  const outer = Math.floor(index / inner / dims![axis]!);
  return (outer * blocks + Math.floor(channel / blockSize)) * inner + (index % inner);
}

/** Random values under random scales, every second one on a tie and some outside the range. */
function makeCase(type: QuantizedType, layout: ScaleLayout, seed: number, zeroPoint?: number) {
  const random = createRandom(seed);
  const [low, high] = limits[type];
  const size = elementCount(layout.dims!);
  const count = 1 + Math.max(...Array.from({ length: size }, (_, i) => scaleIndex(i, layout)));
  const scales = Float32Array.from({ length: count }, () => 2 ** (8 * random.next() - 6));
  const zeros = Array.from({ length: count }, () => zeroPoint ?? low + random.int(high - low + 1));
  const values = Float32Array.from({ length: size }, (_, i) => {
    const at = scaleIndex(i, layout);
    const steps = low - 3 + random.next() * (high - low + 6) - zeros[at]!;
    return (i % 2 === 0 ? Math.floor(steps) + 0.5 : steps) * scales[at]!;
  });
  return { values, scales, zeros };
}

test('along an axis it is the same as channel by channel, and what is representable comes back', () => {
  const layouts = fc.record({
    dims: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
    at: fc.nat(),
    blockSize: fc.constantFrom(undefined, 2, 3),
    type: fc.constantFrom(...types),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(layouts, ({ dims, at, blockSize, type, seed }) => {
      const layout = { dims, axis: at % dims.length, blockSize };
      const { values, scales, zeros } = makeCase(type, layout, seed);
      const codes = quantizeLinear(values, scales, zeros, type, layout);
      const back = dequantizeLinear(codes, scales, zeros, layout);
      const [low, high] = limits[type];
      for (const [i, value] of values.entries()) {
        const k = scaleIndex(i, layout);
        const [alone] = quantizeLinear(Float32Array.of(value), scales[k]!, zeros[k]!, type);
        expect(codes[i]).toBe(alone);
        const inside =
          value >= (low - zeros[k]!) * scales[k]! && value <= (high - zeros[k]!) * scales[k]!;
        // Half a step, and the float32 roundings of up to 2^16 steps.
        const bound = scales[k]! * (0.5 + 2 ** -7);
        if (inside) expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(bound);
      }
      // Integers survive the way to float and back.
      expect(quantizeLinear(back, scales, zeros, type, layout)).toEqual(codes);
    }),
  );
});

describe('against the runtime', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createNodeEngine({ threads: 1 });
  });
  afterAll(() => engine.close());

  const layouts: readonly (readonly [string, ScaleLayout])[] = [
    ['per tensor', { dims: [100, 1000] }],
    ['per axis', { dims: [4, 250, 100], axis: 1 }],
    ['blocked', { dims: [4, 250, 100], axis: 1, blockSize: 16 }],
  ];
  test.each(layouts.flatMap((layout) => types.map((type) => [...layout, type] as const)))(
    '100,000 values %s: %j as %s',
    async (_name, layout, type) => {
      const { dims, axis, blockSize } = layout;
      const { values, scales, zeros } = makeCase(type, layout, 11);
      const blocks = blockSize && dims!.map((d, i) => (i === axis ? Math.ceil(d / blockSize) : d));
      const shape = blocks || (axis === undefined ? [] : [dims![axis]!]);
      const list = (numbers: readonly number[]) => (numbers.length ? `[${numbers}]` : '');
      const attributes = `<axis = ${axis ?? 1}, block_size = ${blockSize ?? 0}>`;
      // 4-bit integers cannot leave the runtime: scale 1 turns them into the same floats.
      const model = parseModel(`< ir_version: 10, opset_import: ["" : 21] >
        main (float${list(dims!)} x) => (float${list(dims!)} codes, float${list(dims!)} back)
        < float${list(shape)} s = fill(value=1), ${type}${list(shape)} z = fill(value=0),
          float one = {1} >
        { q = QuantizeLinear${attributes}(x, s, z)
          codes = DequantizeLinear(q, one)
          back = DequantizeLinear${attributes}(q, s, z) }`);
      model.graph.value('s').initializer = Tensor.of('float', shape, scales);
      model.graph.value('z').initializer = Tensor.of(type, shape, zeros);
      const feeds = { x: hostTensor('float', dims!, values) };
      const { outputs } = await runModel(engine, model, feeds, 'disabled');
      const codes = quantizeLinear(values, scales, zeros, type, layout);
      expect(differences(outputs.codes!.data as Float32Array, codes)).toEqual([]);
      const back = dequantizeLinear(codes, scales, zeros, layout);
      expect(differences(outputs.back!.data as Float32Array, back)).toEqual([]);
    },
  );

  test.each([1, 2, 3, 4, 5, 6])('DynamicQuantizeLinear, seed %i', async (seed) => {
    const random = createRandom(seed);
    const size = 10_000;
    const shift = [0, 0, 2, -2, 0.3, 100][seed - 1]!;
    const x = Float32Array.from({ length: size }, () => random.normal() * seed + shift);
    const model = parseModel(`main (float[${size}] x) => (uint8[${size}] y, float s, uint8 z)
      { y, s, z = DynamicQuantizeLinear(x) }`);
    const { outputs } = await runModel(engine, model, { x: hostTensor('float', [size], x) });
    const own = dynamicQuantizeLinear(x);
    expect(own.scale).toBe(outputs.s!.data[0]);
    expect(own.zeroPoint).toBe(outputs.z!.data[0]);
    expect(differences(outputs.y!.data as Uint8Array, own.values)).toEqual([]);
  });
});

/** The first positions where two arrays differ; -0 and 0 are the same integer. */
function differences(actual: ArrayLike<number>, expected: ArrayLike<number>): string[] {
  const found: string[] = [];
  for (let i = 0; i < expected.length && found.length < 5; i++) {
    if (actual[i] !== expected[i]) found.push(`${i}: ${actual[i]}, expected ${expected[i]}`);
  }
  return found;
}

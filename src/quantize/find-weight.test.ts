/** The same weight in every place where exporters put it gives the same quantized model. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { sumsSaturate } from '../engine/saturation.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { applyPass } from '../pass.js';
import { firstOutput, opsOf } from '../testing/node-models.js';
import { safeWeights } from '../testing/weight-bits.js';
import { dynamic } from './dynamic.js';
import { findWeight } from './find-weight.js';
import { weightOnly } from './weight-only.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** float16 numbers, so that storing them as float16 loses nothing. */
const content = 'range(start=-8, step=0.03125)';
const initializer = `main (float[3,16] x) => (float[3,32] y)
  < float[16,32] w = ${content} > { y = MatMul(x, w) }`;

async function transposed(): Promise<string> {
  const tensor = parseModel(initializer).graph.value('w').initializer!;
  const floats = await tensor.floats();
  const turned = Array.from({ length: 512 }, (_, i) => floats[(i % 16) * 32 + Math.floor(i / 16)]);
  return `main (float[3,16] x) => (float[3,32] y)
    < float[32,16] t = {${turned.join(', ')}} >
    { w = Transpose<perm = [1, 0]>(t) y = MatMul(x, w) }`;
}

const condition = 'bool c = {1}';
const places: Readonly<Record<string, () => string | Promise<string>>> = {
  'a Constant node': async () => {
    const tensor = parseModel(initializer).graph.value('w').initializer!;
    const numbers = [...(await tensor.floats())].join(', ');
    return `main (float[3,16] x) => (float[3,32] y)
      { w = Constant<value = float[16,32] {${numbers}}>() y = MatMul(x, w) }`;
  },
  'behind Transpose': transposed,
  'behind Transpose twice': async () =>
    (await transposed()).replace('w = ', 'a = Transpose(t) b = Transpose(a) w = '),
  'behind Identity': () => `main (float[3,16] x) => (float[3,32] y)
    < float[16,32] v = ${content} > { w = Identity(v) y = MatMul(x, w) }`,
  'stored as float16 behind a Cast': () => `main (float[3,16] x) => (float[3,32] y)
    < float16[16,32] h = ${content} > { w = Cast<to = 1>(h) y = MatMul(x, w) }`,
  'behind Reshape': () => `main (float[3,16] x) => (float[3,32] y)
    < float[2,8,32] v = ${content}, int64[2] s = {-1, 32} > { w = Reshape(v, s) y = MatMul(x, w) }`,
  'behind Flatten with a negative axis': () => `main (float[3,16] x) => (float[3,32] y)
    < float[4,4,32] v = ${content} > { w = Flatten<axis = -1>(v) y = MatMul(x, w) }`,
  'behind Squeeze': () => `main (float[3,16] x) => (float[3,32] y)
    < float[1,16,32,1] v = ${content}, int64[2] a = {0, -1} > { w = Squeeze(v, a) y = MatMul(x, w) }`,
  'behind Squeeze and Unsqueeze': () => `main (float[3,16] x) => (float[3,32] y)
    < float[1,16,32] v = ${content}, int64[2] a = {-1, 0}, int64[3] b = {0, -1, 1} >
    { f = Squeeze(v) u = Unsqueeze(f, a) w = Squeeze(u) y = MatMul(x, w) }`,
  'inside If': () => `main (float[3,16] x) => (float[3,32] y) < ${condition} >
    { y = If(c) <
        then_branch = yes () => (float[3,32] t) < float[16,32] w = ${content} > { t = MatMul(x, w) },
        else_branch = no () => (float[3,32] e) < float[16,32] v = fill(value=2) > { e = MatMul(x, v) }
      > }`,
  'captured from the graph around': () => `main (float[3,16] x) => (float[3,32] y)
    < ${condition}, float[16,32] w = ${content} >
    { y = If(c) <
        then_branch = yes () => (float[3,32] t) { t = MatMul(x, w) },
        else_branch = no () => (float[3,32] e) { v = Identity(w) e = MatMul(x, v) }
      > }`,
};

const schemes: Readonly<Record<string, (model: Model) => Promise<Model>>> = {
  dynamic: async (model) => (await applyPass(model, dynamic, {})).model,
  dequantize: async (model) => (await applyPass(model, weightOnly, { minElements: 256 })).model,
  cast: async (model) =>
    (await applyPass(model, weightOnly, { minElements: 256, form: 'cast' })).model,
};

describe.each(Object.keys(schemes))('%s', (scheme) => {
  test.each(Object.keys(places))('%s', async (place) => {
    const quantize = schemes[scheme]!;
    const expected = await quantize(parseModel(initializer));
    const model = await quantize(parseModel(await places[place]!()));
    const wanted = await firstOutput(engine, expected, undefined, 'disabled');
    expect(await firstOutput(engine, model, undefined, 'disabled')).toEqual(wanted);
    // Float weights must be gone, or the file would have grown.
    const floats = [...model.allGraphs()].flatMap((graph) =>
      graph.initializers.filter(
        ({ initializer: t }) => t!.dims.length > 1 && t!.dataType === 'float',
      ),
    );
    expect(floats.filter((value) => value.initializer!.size >= 512)).toEqual([]);
    expect(opsOf(model).Constant ?? 0).toBe(0);
  });
});

test('branches that name different weights alike keep their own', async () => {
  const model = parseModel(`main (bool c, float[3,16] x) => (float[3,32] y)
    { y = If(c) <
        then_branch = yes () => (float[3,32] t)
          < float[16,32] w = normal(seed=1) > { t = MatMul(x, w) },
        else_branch = no () => (float[3,32] e)
          < float[16,32] w = normal(seed=2) > { e = MatMul(x, w) }
      > }`);
  const { model: small } = await applyPass(model, dynamic, await safeWeights(engine, {}));
  for (const value of [0, 1]) {
    const c = { dataType: 'bool', dims: [], data: Uint8Array.of(value) } as const;
    const x = { dataType: 'float', dims: [3, 16], data: new Float32Array(48).fill(1) } as const;
    const expected = await firstOutput(engine, model, { c, x });
    const found = await firstOutput(engine, small, { c, x });
    // Sums of 16 products that are off by less than a step of 4/127, or of 4/63 in 7 bits, each.
    const steps = (await sumsSaturate(engine)) ? 63 : 127;
    for (const [i, number] of found.entries()) {
      expect(Math.abs(number - expected[i]!)).toBeLessThan((16 * 4) / steps);
    }
  }
});

test('a weight that two nodes share is stored once', async () => {
  const model = parseModel(`main (float[3,16] x, float[3,16] z) => (float[3,32] y)
    < float[16,32] w = ${content} >
    { a = MatMul(x, w) b = MatMul(z, w) y = Add(a, b) }`);
  for (const quantize of Object.values(schemes)) {
    const small = await quantize(model);
    const stored = small.graph.initializers.filter((v) => v.initializer!.size === 512);
    expect(stored.map((value) => value.initializer!.dataType)).toEqual(['int8']);
    const scales = small.graph.initializers.filter((v) => v.initializer!.size === 32);
    expect(scales).toHaveLength(1);
  }
});

describe('refused, with the reason', () => {
  const reasons: readonly (readonly [reason: string, text: string])[] = [
    [
      'its weight is a graph input',
      'main (float[3,16] x, float[16,32] w) => (y) { y = MatMul(x, w) }',
    ],
    [
      'its weight is also a graph input, so callers may replace it',
      `main (float[3,16] x, float[16,32] w = ${content}) => (y) { y = MatMul(x, w) }`,
    ],
    [
      'its weight is computed by Mul',
      `main (float[3,16] x) => (y) < float[16,32] v = ${content} > { w = Mul(v, v) y = MatMul(x, w) }`,
    ],
    [
      'its Reshape has a computed shape',
      `main (float[3,16] x, int64[2] s) => (y) < float[16,32] v = ${content} >
       { w = Reshape(v, s) y = MatMul(x, w) }`,
    ],
    [
      'its Squeeze has computed axes',
      `main (float[3,16] x, int64[1] s) => (y) < float[1,16,32] v = ${content} >
       { w = Squeeze(v, s) y = MatMul(x, w) }`,
    ],
    [
      'its weight is int8, which is no float type',
      `main (float[3,16] x) => (y) < int8[16,32] v = fill(value=3) >
       { w = Cast<to = 1>(v) y = MatMul(x, w) }`,
    ],
    [
      'its weight is cast from float to int32',
      `main (float[3,16] x) => (y) < float[16,32] v = ${content} >
       { i = Cast<to = 6>(v) w = Cast<to = 1>(i) y = MatMul(x, w) }`,
    ],
  ];
  test.each(reasons)('%s', async (reason, text) => {
    const { model, report } = await applyPass(parseModel(text), dynamic, {});
    expect(report.changed).toEqual([]);
    expect(report.skipped.find(({ op }) => op === 'MatMul')?.reason).toBe(reason);
    expect(opsOf(model)).toEqual(opsOf(parseModel(text)));
  });
});

test('a Cast that rounds gives rounded numbers', async () => {
  const model = parseModel(`main (float16[3,4] x) => (y) < float[4,2] v = fill(value=0.1) >
    { w = Cast<to = 10>(v) y = MatMul(x, w) }`);
  const found = await findWeight([...model.graph.nodes].at(-1)!, 1);
  if ('reason' in found) throw new Error(found.reason);
  expect(found.dataType).toBe('float16');
  expect((await found.read())[0]).toBe(0.0999755859375);
});

test('Flatten at the rank puts everything into the first axis', async () => {
  const model = parseModel(`main (float[3,8] x) => (y) < float[2,4] v = range() >
    { w = Flatten<axis = 2>(v) y = MatMul(x, w) }`);
  const found = await findWeight([...model.graph.nodes].at(-1)!, 1);
  expect(found).toMatchObject({ dims: [8, 1] });
});

test('weights of models before IR version 4, which are listed as inputs, are weights', async () => {
  const model = parseModel(`< ir_version: 3, opset_import: ["" : 8] >
    main (float[3,16] x, float[16,32] w = ${content}) => (y) { y = MatMul(x, w) }`);
  const { model: small, report } = await applyPass(model, weightOnly, {
    form: 'cast',
    minElements: 1,
  });
  expect(report.changed).toHaveLength(1);
  expect(report.notes.join()).toContain('IR version raised from 3 to 4');
  expect(small.graph.inputs.map(({ name }) => name)).toEqual(['x']);
  const expected = await firstOutput(engine, model);
  expect(await firstOutput(engine, small)).toHaveLength(expected.length);
});

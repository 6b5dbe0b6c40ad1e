import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { applyPass } from '../../pass.js';
import { createRandom } from '../../random.js';
import { opsOf, runModel } from '../../testing/node-models.js';
import { quantizeOutput, readOutputSpecs } from './quantize-output.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const network = `main (float[N,8] x) => (float[N,5] y) < float[8,5] w = normal(seed=1) >
  { y = Gemm(x, w) }`;
const feeds: Feeds[] = Array.from({ length: 20 }, (_, seed) => {
  const random = createRandom(seed);
  return {
    x: hostTensor(
      'float',
      [1, 8],
      Float32Array.from({ length: 8 }, () => random.normal()),
    ),
  };
});
const samples = async function* () {
  yield* feeds;
};
const run = async (model: Model, each: Feeds) =>
  (await runModel(engine, model, each, 'disabled')).outputs.y!;

test.each(['uint8', 'int8'] as const)(
  '%s: within half a step, and the order stays',
  async (dataType) => {
    const model = parseModel(network);
    const { model: small } = await applyPass(
      model,
      quantizeOutput,
      { dataType },
      { engine, samples },
    );
    const [spec] = readOutputSpecs(small);
    expect(spec).toMatchObject({ name: 'y', dataType, dims: ['N', 5] });
    for (const each of feeds) {
      const floats = float32Of(await run(model, each));
      const integers = await run(small, each);
      expect(integers.dataType).toBe(dataType);
      const codes = Array.from(integers.data as Uint8Array);
      codes.forEach((q, at) => {
        const value = (q - spec!.zeroPoint) * spec!.scale;
        expect(Math.abs(value - floats[at]!)).toBeLessThan(0.51 * spec!.scale);
      });
      expect(codes[floats.indexOf(Math.max(...floats))]).toBe(Math.max(...codes));
    }
  },
);

test('a DequantizeLinear at the end goes away: the same integers, its parameters', async () => {
  const model = parseModel(`main (float[N,8] x) => (float[N,8] y)
    < float s = {0.05}, uint8 z = {120} >
    { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }`);
  const { model: small } = await applyPass(model, quantizeOutput, {}, { engine });
  expect(opsOf(small)).toEqual({ QuantizeLinear: 1 });
  const [spec] = readOutputSpecs(small);
  expect(spec).toMatchObject({ scale: Math.fround(0.05), zeroPoint: 120 });
  for (const each of feeds) {
    const codes = Array.from((await run(small, each)).data as Uint8Array);
    const values = Float32Array.from(codes, (q) => (q - 120) * Math.fround(0.05));
    expect(values).toEqual(float32Of(await run(model, each)));
  }
});

test('an output that nodes use too keeps its float value for them', async () => {
  const model = parseModel(`main (float[N,8] x) => (float[N,8] y, float[N,8] r)
    { y = Neg(x) r = Relu(y) }`);
  const { model: small } = await applyPass(
    model,
    quantizeOutput,
    { outputs: ['y'] },
    { engine, samples },
  );
  expect(small.graph.outputs.map(({ name, dataType }) => [name, dataType])).toEqual([
    ['y', 'uint8'],
    ['r', 'float'],
  ]);
  const [before, after] = await Promise.all(
    [model, small].map((each) => runModel(engine, each, feeds[0]!, 'disabled')),
  );
  expect(after!.outputs.r).toEqual(before!.outputs.r);
});

test.each([
  [network, { outputs: ['q'] }, '"q" is no float32 output of the model: "y" float'],
  [network, {}, 'the range of "y" is not known without samples'],
  ['main (int64[2] x) => (int64[2] y) { y = Identity(x) }', {}, 'no output is float32: "y" int64'],
])('wrong use, case %#', async (text, options, message) => {
  await expect(
    applyPass(parseModel(text), quantizeOutput, options, { engine }),
  ).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining(message),
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { printModel } from '../../graph/print.js';
import { applyPass } from '../../pass.js';
import { createRandom } from '../../random.js';
import { opsOf, optimizedOps, runModel, usedTooEarly } from '../../testing/node-models.js';
import { staticScheme } from '../static.js';
import { fuseInput } from './fuse-input.js';
import { floatFeeds, inputRanges, readInputSpecs, samplesFor } from './input-spec.js';
import { quantizeInput } from './quantize-input.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

type Options = Parameters<typeof applyPass<typeof quantizeInput.options>>[2];

const imagenet = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const unit = { scale: 1 / 255 };

/** A padded convolution, as nearly every network of pictures begins. */
const padded = `main (float[N,3,6,5] x) => (float[N,4,6,5] y)
  < float[4,3,3,3] w = normal(seed=1), float[4] b = normal(seed=2) >
  { [conv] y = Conv<pads=[1,1,1,1]>(x, w, b) }`;

/** Raw bytes for the model's input, all the extremes among them. */
function rawFeedsOf(model: Model, count = 1): Feeds[] {
  const { name, dataType, dims } = readInputSpecs(model)[0]!;
  const random = createRandom(5);
  return Array.from({ length: count }, () => {
    const numbers = dims.map((dim) => (typeof dim === 'number' ? dim : 2));
    const length = numbers.reduce((product, dim) => product * dim, 1);
    const bytes = Uint8Array.from({ length }, (_, i) =>
      i === 0 ? 0 : i === 1 ? 255 : random.int(256),
    );
    const data = dataType === 'uint8' ? bytes : new Int8Array(bytes.buffer);
    return { [name]: hostTensor(dataType, numbers, data) };
  });
}

async function outputOf(model: Model, feeds: Feeds): Promise<Float32Array> {
  const { outputs } = await runModel(engine, model, feeds, 'disabled');
  return float32Of(outputs[model.graph.outputs[0]!.name]!);
}

/** The model with the raw input, and the largest difference of its output on raw bytes. */
async function quantized(text: string, options: Options) {
  const model = parseModel(text);
  const before = await printModel(model, { weights: 'full' });
  const { model: raw, report } = await applyPass(model, quantizeInput, options, { engine });
  expect(await printModel(model, { weights: 'full' }), 'the model given').toBe(before);
  expect(usedTooEarly(raw.graph)).toEqual([]);
  const [feeds] = rawFeedsOf(raw) as [Feeds];
  const expected = await outputOf(model, floatFeeds(readInputSpecs(raw), feeds));
  const actual = await outputOf(raw, feeds);
  const differences = expected.map((value, at) => Math.abs(value - actual[at]!));
  return { raw, report, differences, error: Math.max(...differences) };
}

describe('a float model', () => {
  test('one scale for all channels: the weights stay, the input is dequantized', async () => {
    const { raw, error, report } = await quantized(padded, unit);
    expect(opsOf(raw)).toEqual({ DequantizeLinear: 1, Conv: 1 });
    expect(error).toBeLessThan(1e-5);
    expect(raw.graph.inputs[0]!.dataType).toBe('uint8');
    expect(report.notes).toContain(
      'feed "x" with uint8 [N,3,6,5] NCHW RGB, values 0 to 255 as they are, not scaled',
    );
  });

  test('means per channel and padding: exact at the border too', async () => {
    const { raw, error } = await quantized(padded, imagenet);
    expect(opsOf(raw)).toEqual({ Pad: 1, DequantizeLinear: 1, Conv: 1 });
    expect(error).toBeLessThan(2e-5);
  });

  test('border nearest: exact inside, and different at the border', async () => {
    const { raw, differences, report } = await quantized(padded, {
      ...imagenet,
      border: 'nearest',
    });
    expect(opsOf(raw)).toEqual({ DequantizeLinear: 1, Conv: 1 });
    const [inside, border]: [number[], number[]] = [[], []];
    differences.forEach((difference, at) => {
      const [row, column] = [Math.floor(at / 5) % 6, at % 5];
      const isInside = row > 0 && row < 5 && column > 0 && column < 4;
      (isInside ? inside : border).push(difference);
    });
    expect(Math.max(...inside)).toBeLessThan(2e-5);
    expect(Math.max(...border)).toBeGreaterThan(0.05);
    expect(report.notes.join()).toContain('at the border padding stands for raw 114');
  });

  test('no padding: bias alone, no constant channel', async () => {
    const { raw, error } = await quantized(
      padded.replace('<pads=[1,1,1,1]>', '').replace('[N,4,6,5]', '[N,4,4,3]'),
      imagenet,
    );
    expect(opsOf(raw)).toEqual({ DequantizeLinear: 1, Conv: 1 });
    expect(error).toBeLessThan(2e-5);
  });

  test.each([
    [
      'half a step of zero point',
      padded,
      { scale: 1 / 127.5, mean: 1 },
      ['Conv', 'DequantizeLinear', 'Pad'],
    ],
    [
      'the option border: float',
      padded,
      { ...imagenet, border: 'float' },
      ['Add', 'Conv', 'DequantizeLinear', 'Mul'],
    ],
    [
      'a convolution in groups',
      padded
        .replace('[4,3,3,3]', '[3,1,3,3]')
        .replace('[4] b', '[3] b')
        .replace('[N,4,', '[N,3,')
        .replace('<pads', '<group=3, pads'),
      imagenet,
      ['Add', 'Conv', 'DequantizeLinear', 'Mul'],
    ],
    [
      'an input with two users',
      'main (float[N,3,4,4] x) => (float[N,3,4,4] y) { a = Relu(x) b = Neg(x) y = Add(a, b) }',
      imagenet,
      ['Add', 'DequantizeLinear', 'Mul', 'Neg', 'Relu'],
    ],
    [
      'features before a Gemm',
      'main (float[N,3] x) => (float[N,4] y) < float[3,4] w = normal(seed=1) > { y = Gemm(x, w) }',
      imagenet,
      ['DequantizeLinear', 'Gemm'],
    ],
    [
      'int8',
      'main (float[N,3] x) => (float[N,4] y) < float[3,4] w = normal(seed=1) > { y = MatMul(x, w) }',
      { dataType: 'int8', mean: 83, std: 1.7 },
      ['DequantizeLinear', 'MatMul'],
    ],
    [
      'int8 pictures',
      padded,
      { dataType: 'int8', scale: 1 / 128, mean: [0.1, -0.2, 0.3], std: [0.9, 1, 1.1] },
      ['Conv', 'DequantizeLinear', 'Pad'],
    ],
    [
      'a convolution over one axis',
      `main (float[N,2,9] x) => (float[N,4,9] y) < float[4,2,3] w = normal(seed=1) >
        { y = Conv<pads=[1,1]>(x, w) }`,
      { scale: 1 / 255, mean: [0.4, 0.6] },
      ['Conv', 'DequantizeLinear', 'Pad'],
    ],
    [
      'an older opset',
      `< ir_version: 4, opset_import: ["" : 9] > ${padded}`,
      imagenet,
      ['Conv', 'DequantizeLinear', 'Pad'],
    ],
  ] as [string, string, Options, string[]][])('%s', async (_, text, options, ops) => {
    const { raw, error } = await quantized(text, options);
    expect(Object.keys(opsOf(raw)).sort()).toEqual(ops);
    expect(error).toBeLessThan(5e-5);
  });

  test('what stays in float is reported with the reason', async () => {
    const { report } = await quantized(
      'main (float[N,3,4,4] x) => (float[N,3,4,4] y) { a = Relu(x) b = Neg(x) y = Add(a, b) }',
      imagenet,
    );
    expect(report.skipped.map(({ reason }) => reason)).toEqual([
      'preprocessing stays in float (exact, but slower): the input does not go into one layer with weights alone',
    ]);
  });

  test('BGR: mean and std, given in RGB order, turn round', async () => {
    const { raw, error } = await quantized(padded, { ...imagenet, colorOrder: 'BGR' });
    expect(readInputSpecs(raw)[0]!.folded.mean).toEqual([0.406, 0.456, 0.485]);
    expect(error).toBeLessThan(2e-5);
  });
});

describe('layouts', () => {
  const channelsLast = `main (float[N,6,5,3] x) => (float[N,4,6,5] y)
    < float[4,3,3,3] w = normal(seed=1) >
    { t = Transpose<perm=[0,3,1,2]>(x) y = Conv<pads=[1,1,1,1]>(t, w) }`;
  test.each([
    [padded, 'NCHW', [3, 6, 5], 0],
    [padded, 'NHWC', [6, 5, 3], 1],
    [channelsLast, 'NHWC', [6, 5, 3], 1],
    [channelsLast, 'NCHW', [3, 6, 5], 0],
  ] as const)('case %#: fed as %s', async (text, layout, dims, transposes) => {
    const { raw, error } = await quantized(text, { ...imagenet, layout });
    expect(raw.graph.inputs[0]!.dims).toEqual(['N', ...dims]);
    expect(readInputSpecs(raw)[0]).toMatchObject({ layout, dims: ['N', ...dims], range: [0, 255] });
    expect(opsOf(raw).Transpose ?? 0).toBe(transposes);
    expect(error).toBeLessThan(2e-5);
  });
});

describe('with static quantization', () => {
  const network = `main (float[N,3,6,5] x) => (float[N,4,6,5] y)
    < float[4,3,3,3] w = normal(seed=1), float[4] b = normal(seed=2), float[4,4,1,1] v = normal(seed=3) >
    { a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a) y = Conv(r, v) }`;

  test.each([unit, imagenet])(
    'before it: %j: bytes go straight into the integer kernel',
    async (options) => {
      const { raw } = await quantized(network, options);
      const feeds = rawFeedsOf(raw, 4);
      const source = async function* () {
        yield* feeds.map((each) => floatFeeds(readInputSpecs(raw), each));
      };
      const samples = samplesFor(raw, source);
      const ranges = inputRanges(raw);
      const small = await applyPass(raw, staticScheme, { ranges }, { engine, samples });
      const { model: fused, report } = await applyPass(small.model, fuseInput, {});
      expect(report.changed.map(({ op }) => op)).toEqual(['QuantizeLinear']);
      for (const each of feeds) {
        expect(await outputOf(fused, each)).toEqual(await outputOf(small.model, each));
      }
      const ops = await optimizedOps(engine, fused);
      expect(ops.QLinearConv).toBe(2);
      expect(ops.QuantizeLinear).toBeUndefined();
      expect(ops.DequantizeLinear).toBe(1);
    },
  );

  test.each([
    [1, 'QuantizeLinear removed', 0],
    [0.75, 'scale differs: it stays', 1],
  ])('after it, with a range to %d: equal in every bit, %s', async (max, _, stays) => {
    const float = parseModel(network);
    const source = async function* (): AsyncGenerator<Feeds> {
      const data = Float32Array.from({ length: 90 }, (_, i) => (i % 52) / 51);
      yield { x: hostTensor('float', [1, 3, 6, 5], data) };
    };
    const context = { engine, samples: source };
    const ranges = { x: { min: 0, max } };
    const small = (await applyPass(float, staticScheme, { ranges }, context)).model;
    const { model: raw, report } = await applyPass(small, quantizeInput, unit, context);
    const first = raw.graph.inputs[0]!.onlyUse!.node.output();
    expect([...first.users].filter(({ op }) => op === 'QuantizeLinear')).toHaveLength(stays);
    expect(report.skipped).toHaveLength(stays);
    const [feeds] = rawFeedsOf(raw) as [Feeds];
    const expected = await outputOf(small, floatFeeds(readInputSpecs(raw), feeds));
    expect(await outputOf(raw, feeds)).toEqual(expected);
    expect(report.notes.at(-1)).toBe(
      'outputs beside those with the float input: equal in every bit, on 1 samples',
    );
  });
});

describe('wrong options', () => {
  const two = 'main (float[N,3,4,4] x, float[N,3,4,4] z) => (float[N,3,4,4] y) { y = Add(x, z) }';
  const flat = 'main (float[N,5] x) => (float[N,5] y) { y = Relu(x) }';
  test.each([
    ['two float inputs', two, {}, '2 of the inputs are float32'],
    [
      'an unknown name',
      two,
      { input: 'q' },
      '"q" is no float32 input of the model: "x" float, "z" float',
    ],
    ['means that fit no axis', padded, { mean: [1, 2, 3, 4] }, 'has not the 4 entries'],
    ['means that fit no feature', flat, { mean: [1, 2, 3] }, 'has not the 3 entries'],
    ['a layout for features', flat, { layout: 'NHWC' }, 'has 2 dims, not 4'],
    ['scale 0', flat, { scale: 0 }, 'scale is 0'],
  ] as [string, string, Options, string][])('%s', async (_, text, options, message) => {
    await expect(applyPass(parseModel(text), quantizeInput, options)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message),
    });
  });
});

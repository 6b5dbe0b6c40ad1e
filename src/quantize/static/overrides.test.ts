import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import {
  expectClose,
  quantizeStatic,
  randomSamples,
  type StaticInput,
} from '../../testing/node-static.js';

let engine: Engine;
let feeds: Feeds[];
const image = 'float[1,4,8,8]';
const weights = 'a b c'
  .split(' ')
  .map(
    (name, at) =>
      `float[4,4,3,3] ${name}w = normal(seed=${at + 1}, std=0.2), float[4] ${name}b = normal(seed=${at + 9})`,
  )
  .join(', ');
/** p, q, r and y get scales of their own; m has that of q. */
const chain = parseModel(`main (${image} x) => (${image} y) < ${weights} >
  { [a] p = Conv<pads = [1,1,1,1]>(x, aw, ab) [relu] q = Relu(p) [pool] m = MaxPool<kernel_shape = [1,1]>(q)
    [b] r = Conv<pads = [1,1,1,1]>(m, bw, bb) [c] y = Conv<pads = [1,1,1,1]>(r, cw, cb) }`);
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  feeds = await randomSamples(engine, chain, 6);
});
afterAll(() => engine.close());

const run = (overrides: NonNullable<StaticInput['overrides']>, more: StaticInput = {}) =>
  quantizeStatic(engine, chain, { overrides, checkFusion: false, ...more }, feeds);

/** Scale, zero point and type of the QuantizeLinear behind a value. */
async function quantizer(model: Model, value: string) {
  const { producer, users } = model.graph.value(value);
  // What was an output of the graph is the DequantizeLinear behind it now.
  const isOutput = producer?.op === 'DequantizeLinear';
  const node = isOutput ? producer : [...users].find(({ op }) => op === 'QuantizeLinear')!;
  const [scale, zeroPoint] = [node.constantInput(1)!, node.constantInput(2)!];
  return {
    dataType: zeroPoint.dataType,
    scale: (await scale.numbers())[0]!,
    zeroPoint: (await zeroPoint.numbers())[0]!,
  };
}

describe('activations', () => {
  test('a range, a scale, a type, symmetric: each holds for its value alone', async () => {
    const plain = (await run({})).small;
    const { small, model } = await run({
      x: { min: -4, max: 6.2 },
      q: { scale: 0.03, zeroPoint: 0 },
      r: { dataType: 'int8', symmetric: true },
    });
    expect(await quantizer(small, 'x')).toEqual({
      dataType: 'uint8',
      scale: Math.fround(0.04),
      zeroPoint: 100,
    });
    expect(await quantizer(small, 'q')).toEqual({
      dataType: 'uint8',
      scale: Math.fround(0.03),
      zeroPoint: 0,
    });
    // It shares the scale of q.
    expect(await quantizer(small, 'm')).toMatchObject({ scale: Math.fround(0.03), zeroPoint: 0 });
    expect(await quantizer(small, 'r')).toMatchObject({ dataType: 'int8', zeroPoint: 0 });
    expect(await quantizer(small, 'y')).toEqual(await quantizer(plain, 'y'));
    await expectClose(engine, model, small, feeds[0]!, 15);
  });

  test('a calibrator of its own', async () => {
    const exact = (await run({}, { calibrator: 'min-max' })).small;
    const { small } = await run({ 'q*': { calibrator: 'min-max' } }, { percentile: 90 });
    expect(await quantizer(small, 'q')).toEqual(await quantizer(exact, 'q'));
    expect((await quantizer(small, 'r')).scale).toBeLessThan((await quantizer(exact, 'r')).scale);
  });

  test('16 bits for one value raise the opset, and the model still runs', async () => {
    const { small, model } = await run({ r: { dataType: 'uint16' } });
    expect(small.graph.opset()).toBeGreaterThanOrEqual(21);
    expect(await quantizer(small, 'r')).toMatchObject({ dataType: 'uint16' });
    expect(await quantizer(small, 'q')).toMatchObject({ dataType: 'uint8' });
    await expectClose(engine, model, small, feeds[0]!, 25);
  });

  test('float keeps the nodes around it out, and the report says why', async () => {
    const { report, small } = await run({ r: 'float' });
    const reason = 'an override keeps "r" in float';
    expect(report.skipped).toContainEqual({ node: 'b', op: 'Conv', reason });
    expect(report.skipped).toContainEqual({ node: 'c', op: 'Conv', reason });
    expect([...small.graph.value('r').users].map(({ op }) => op)).toEqual(['Conv']);
  });

  test('an own name comes before wildcards, a later wildcard before an earlier one', async () => {
    const range = (max: number) => ({ min: 0, max });
    const { small } = await run({ y: range(1), '*': range(2), 'x*': range(3) });
    const scaleOf = async (name: string) => (await quantizer(small, name)).scale * 255;
    expect(await scaleOf('y')).toBeCloseTo(1, 5);
    expect(await scaleOf('r')).toBeCloseTo(2, 5);
    expect(await scaleOf('x')).toBeCloseTo(3, 5);
  });

  test('ranges and types of any kind give a model that runs', async () => {
    const override = fc.oneof(
      fc.record({
        min: fc.double({ min: -9, max: 0, noNaN: true }),
        max: fc.double({ min: 0, max: 9, noNaN: true }),
      }),
      fc.record({ scale: fc.double({ min: 1e-3, max: 1, noNaN: true }), zeroPoint: fc.nat(127) }),
      fc.record({
        symmetric: fc.boolean(),
        dataType: fc.constantFrom('uint8' as const, 'int8' as const, 'int16' as const),
      }),
      fc.constant('float' as const),
    );
    const names = fc.dictionary(fc.constantFrom('x', 'q', 'r', 'y'), override);
    await fc.assert(
      fc.asyncProperty(names, async (overrides) => {
        const { model, small } = await run({ ...overrides });
        await expectClose(engine, model, small, feeds[0]!, -60);
      }),
      { numRuns: 5 },
    );
  });
});

describe('weights', () => {
  test('one scale, and one that is not symmetric', async () => {
    const { small, model } = await run({
      aw: { perChannel: false },
      bw: { perChannel: false, symmetric: false },
    });
    const zeroPoint = async (name: string) => small.graph.value(name).initializer!.numbers();
    expect(small.graph.value('aw_scale').dims).toEqual([]);
    expect(await zeroPoint('aw_zero_point')).toEqual([0]);
    expect(await zeroPoint('bw_zero_point')).not.toEqual([0]);
    expect(small.graph.value('cw_scale').dims).toEqual([4]);
    await expectClose(engine, model, small, feeds[0]!, 20);
  });

  test('positive weights need half the step when they are not symmetric', async () => {
    const text = `main (${image} x) => (${image} y) < float[4,4,1,1] w = uniform(seed=3) >
      { [conv] y = Conv(x, w) }`;
    const scaleOf = async (symmetric: boolean) => {
      const given = { reduceRange: false, overrides: { w: { perChannel: false, symmetric } } };
      const { small } = await quantizeStatic(engine, text, given, feeds);
      return (await small.graph.value('w_scale').initializer!.numbers())[0]!;
    };
    const ratio = (await scaleOf(true)) / (await scaleOf(false));
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThanOrEqual(255 / 127 + 1e-6);
  });
});

describe('what cannot be', () => {
  const wrong: [string, NonNullable<StaticInput['overrides']>, RegExp][] = [
    ['names nothing', { z: 'float' }, /overrides: "z" names no value/],
    [
      'two values of one scale',
      { q: { min: 0, max: 1 }, m: { min: 0, max: 2 } },
      /"q" and "m" share one scale, but are to have \{"min":0,"max":1\} and \{"min":0,"max":2\}/,
    ],
    ['half a range', { q: { min: 0 } }, /min and max go together/],
    ['half a scale', { q: { scale: 1 } }, /scale and zeroPoint go together/],
    ['two ways at once', { q: { min: 0, max: 1, calibrator: 'mse' } }, /only one of a range/],
    ['a range upside down', { q: { min: 2, max: 1 } }, /a range has min below max/],
    [
      'a zero point outside',
      { q: { scale: 1, zeroPoint: 256 } },
      /zero point 256 of "q" is no uint8, 0 to 255/,
    ],
    [
      'channels of an activation',
      { q: { perChannel: true } },
      /"q" is an activation, which has no perChannel/,
    ],
    ['a range of a weight', { 'a*': { min: 0, max: 1 } }, /"aw" is a weight, which has no min/],
  ];
  test.each(wrong)('%s', async (_, overrides, message) => {
    await expect(run(overrides)).rejects.toThrow(message);
  });

  test('a range from both options', async () => {
    const ranges = { q: { min: 0, max: 1 } };
    await expect(run({ q: { min: 0, max: 2 } }, { ranges })).rejects.toThrow(
      /"q" has its range from ranges and from overrides/,
    );
  });

  test('an override of what stays float is a remark', async () => {
    const { report } = await run({ x: { min: 0, max: 1 } }, { exclude: ['a'] });
    expect(report.notes).toContain('overrides: nothing that "x" names is quantized');
  });
});

test('wide: 16 bits around the nodes that are named', async () => {
  const { small, model } = await run({}, { wide: ['b'] });
  const typeOf = async (name: string) => (await quantizer(small, name)).dataType;
  expect(await Promise.all(['x', 'q', 'm', 'r', 'y'].map(typeOf))).toEqual([
    'uint8',
    'uint16',
    'uint16',
    'uint16',
    'uint8',
  ]);
  await expectClose(engine, model, small, feeds[0]!, 25);
  const behindClip = (await run({}, { wide: ['a'] })).small;
  expect(await quantizer(behindClip, 'q')).toMatchObject({ dataType: 'uint16' });
  await expect(run({}, { wide: ['none'] })).rejects.toThrow(/wide: "none" matches no node/);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import { PareError } from '../../errors.js';
import { applyPass } from '../../pass.js';
import { describeFixtures, expectEqualOutputs } from '../../testing/node-fixtures.js';
import { parseModel } from '../parse.js';
import { printModel } from '../print.js';
import { raiseOpset, upgradeOpset } from './upgrade.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

describeFixtures(new URL('./fixtures', import.meta.url), upgradeOpset, { options: { target: 21 } });

const model = (opset: number, text: string) =>
  parseModel(`<ir_version: ${opset < 9 ? 3 : 8}, opset_import: ["" : ${opset}]> ${text}`);

async function refusal(opset: number, text: string, target = 21): Promise<PareError> {
  const promise = raiseOpset(model(opset, text), target);
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(PareError);
  return error as PareError;
}

/** The runtime begins at opset 7, so that older models are compared with the same in new words. */
describe('models before opset 7', () => {
  const cases: readonly [name: string, opset: number, old: string, same: string][] = [
    [
      'an operand at an axis of the other',
      6,
      `main (float[2,3,4] x, float[3] u) => (float[2,3,4] y, float[2,3,4] z) <float[3] w = {1, 2, 3}>
       { y = Add<axis = 1, broadcast = 1>(x, w) z = Mul<axis = -2, broadcast = 1>(x, u) }`,
      `main (float[2,3,4] x, float[3] u) => (float[2,3,4] y, float[2,3,4] z)
       <float[3,1] w = {1, 2, 3}, int64[1] a = {1}>
       { y = Add(x, w) v = Unsqueeze(u, a) z = Mul(x, v) }`,
    ],
    [
      'an operand at the end of the other',
      6,
      'main (float[2,3] x, float[3] u) => (float[2,3] y) { y = Sub<broadcast = 1>(x, u) }',
      'main (float[2,3] x, float[3] u) => (float[2,3] y) { y = Sub(x, u) }',
    ],
    [
      'slopes per channel',
      6,
      'main (float[1,2,3] x) => (float[1,2,3] y) <float[2] s = {0.5, 2}> { y = PRelu(x, s) }',
      'main (float[1,2,3] x) => (float[1,2,3] y) <float[2,1] s = {0.5, 2}> { y = PRelu(x, s) }',
    ],
    [
      'a shape as an attribute',
      4,
      `main (float[2,3] x) => (float[3,2] y)
       { a = Relu<consumed_inputs = [0]>(x) y = Reshape<shape = [3, -1]>(a) }`,
      'main (float[2,3] x) => (float[3,2] y) <int64[2] s = {3, -1}> { a = Relu(x) y = Reshape(a, s) }',
    ],
    [
      'a type by its name',
      5,
      'main (float[3] x) => (int32[3] y) { y = Cast<to = "INT32">(x) }',
      'main (float[3] x) => (int32[3] y) { y = Cast<to = 6>(x) }',
    ],
    [
      'repetition along one axis',
      5,
      `main (float[2,3] x) => (float[2,6] y) <float n = {2}, float a = {1}> { y = Tile(x, n, a) }`,
      'main (float[2,3] x) => (float[2,6] y) <int64[2] r = {1, 2}> { y = Tile(x, r) }',
    ],
    [
      'old defaults',
      3,
      'main (float[2,3] x) => (float[2,6] z, float[2,3] y) { z = Concat(x, x) y = Selu(x) }',
      `main (float[2,3] x) => (float[2,6] z, float[2,3] y)
       { z = Concat<axis = 1>(x, x) y = Selu<alpha = 1.6732, gamma = 1.0507>(x) }`,
    ],
    [
      'two scales',
      6,
      `main (float[1,1,2,2] x) => (float[1,1,4,6] y)
       { y = Upsample<height_scale = 2.0, width_scale = 3.0>(x) }`,
      `main (float[1,1,2,2] x) => (float[1,1,4,6] y) <float[4] s = {1, 1, 2, 3}>
       { y = Resize<coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">(x, "", s) }`,
    ],
    [
      'training flags',
      6,
      `main (float[1,2,2] x, float[2] g) => (float[1,2,2] y)
       { a = BatchNormalization<is_test = 1>(x, g, g, g, g) y = Dropout<is_test = 1>(a) }`,
      `main (float[1,2,2] x, float[2] g) => (float[1,2,2] y)
       { y = BatchNormalization(x, g, g, g, g) }`,
    ],
    [
      'names and types of attributes',
      1,
      `main (float[1,2,4] x) => (float[1,2,1] p, float[3,2,4] q, float[1,1,4] r)
       {
         p = GlobalLpPool<p = 3.0>(x)
         q = Pad<paddings = [1, 0, 0, 1, 0, 0]>(x)
         s = Constant<value = float[2] {1, 1}>()
         r, t = Split<axis = 1>(x, s)
       }`,
      `main (float[1,2,4] x) => (float[1,2,1] p, float[3,2,4] q, float[1,1,4] r)
       <int64[6] pads = {1, 0, 0, 1, 0, 0}, int64[2] s = {1, 1}>
       { p = GlobalLpPool<p = 3>(x) q = Pad(x, pads) r, t = Split<axis = 1>(x, s) }`,
    ],
  ];

  test.each(cases)('%s', async (_, opset, old, same) => {
    const { model: raised } = await applyPass(model(opset, old), upgradeOpset, { target: 21 });
    expect(raised.opsets.get('')).toBe(21);
    await expectEqualOutputs(engine, model(21, same), raised);
  });
});

describe('what has no equivalent is refused by name', () => {
  const cases: readonly [
    name: string,
    opset: number,
    text: string,
    message: RegExp,
    node: string,
  ][] = [
    [
      'an operator that is not known',
      12,
      'main (float[2] x) => (float[2] y) { [a] y = Frobnicate(x) }',
      /Frobnicate is no operator of the standard domain/,
      'a',
    ],
    [
      'an operator that the opset no longer has',
      13,
      'main (float[1] x, float[1] s) => (float[] y) { [up] y = Upsample(x, s) }',
      /Upsample was removed at opset 10, the model has opset 13/,
      'up',
    ],
    [
      'a mask that is used',
      11,
      'main (float[2] x) => (float[2] y, bool[2] m) { [d] y, m = Dropout(x) }',
      /its mask is used/,
      'd',
    ],
    [
      'saved statistics of a training step',
      13,
      `main (float[1,2] x, float[2] g) => (float[1,2] y, float[2] s)
         { [bn] y, m, v, s = BatchNormalization(x, g, g, g, g) }`,
      /its output 3 \(saved statistics\) is used/,
      'bn',
    ],
    [
      'sequences of different lengths',
      8,
      `main (int64[1] n, float[1,2] i, float[1,3,2] x) => (float[1,2] y)
         { [s] y = Scan<num_scan_inputs = 1,
             body = b (float[2] p, float[2] q) => (float[2] r) { r = Add(p, q) }>(n, i, x) }`,
      /it has sequence_lens/,
      's',
    ],
    [
      'a limit whose type is not known',
      10,
      'main (seq(float[2]) x) => (float[2] y) { e = Opaque.F(x) [c] y = Clip<min = 0.5>(e) }',
      /the element type of "e" is not known/,
      'c',
    ],
    [
      'an axis without a known rank',
      6,
      'main (float[] x, float[2] u) => (float[] y) { [p] y = Add<axis = 1, broadcast = 1>(x, u) }',
      /the rank of "x" is not known/,
      'p',
    ],
    [
      'whole numbers where only floats are left',
      12,
      'main (int32[2] x) => (int32[2] y) { [e] y = Erf(x) }',
      /it takes int32/,
      'e',
    ],
  ];

  test.each(cases)('%s', async (_, opset, text, message, node) => {
    const error = await refusal(opset, text);
    expect(error.code).toBe('unsupported');
    expect(error.message).toMatch(message);
    expect(error.where.node).toBe(node);
  });

  test('an attribute that only the call of a function knows', async () => {
    const old = parseModel(`<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
      main (float[2,3] x) => (float[2,3] y) { y = f.S<k = 1>(x) }
      <domain: "f", opset_import: ["" : 12]> S <k> (x) => (y) { y = Softmax<axis: int = @k>(x) }`);
    await expect(raiseOpset(old, 21)).rejects.toThrow(
      /Softmax cannot be converted: its attribute axis is given by the call/,
    );
  });
});

test('the report tells what changed, and the model given stays as it is', async () => {
  const old = model(
    11,
    'main (float[2,3] x) => (float[3] y) { a = Relu(x) [sum] y = ReduceSum<axes = [0], keepdims = 0>(a) }',
  );
  const before = await printModel(old);
  const { model: raised, report } = await applyPass(old, upgradeOpset, { target: 13 });
  expect(await printModel(old)).toBe(before);
  expect(raised.opsets.get('')).toBe(13);
  expect(report.changed).toEqual([{ node: 'sum', op: 'ReduceSum', what: 'axes became an input' }]);
  expect(report.notes).toEqual(['opset raised from 11 to 13']);
});

test('a model that is new enough is left alone', async () => {
  const current = model(18, 'main (float[2] x) => (float[2] y) { y = Relu(x) }');
  const before = await printModel(current);
  expect(await raiseOpset(current, 17)).toMatchObject({ changed: [], notes: [] });
  expect(await printModel(current)).toBe(before);
});

test('the IR version rises as far as the opset needs it, and no further', async () => {
  const text = 'main (float[2] x) => (float[2] y) { y = Relu(x) }';
  const raised = async (ir: number, target: number) => {
    const old = parseModel(`<ir_version: ${ir}, opset_import: ["" : 7]> ${text}`);
    await raiseOpset(old, target);
    return old.irVersion;
  };
  expect(await raised(3, 13)).toBe(7);
  expect(await raised(3, 21)).toBe(10);
  expect(await raised(11, 21)).toBe(11);
});

test('other domains keep their versions', async () => {
  const old = parseModel(`<ir_version: 8, opset_import: ["" : 12, "com.microsoft" : 1]>
    main (float[2,2] x) => (float[2,2] y) { a = com.microsoft.Gelu(x) y = Softmax<axis = 1>(a) }`);
  const { model: raised } = await applyPass(old, upgradeOpset, { target: 21 }, { engine });
  expect(raised.opsets.get('com.microsoft')).toBe(1);
  await expectEqualOutputs(engine, old, raised);
});

test.each([6, 99, 12.5])('the target %d is no option', async (target) => {
  const old = model(12, 'main (float[2] x) => (float[2] y) { y = Relu(x) }');
  await expect(applyPass(old, upgradeOpset, { target })).rejects.toMatchObject({ code: 'usage' });
});

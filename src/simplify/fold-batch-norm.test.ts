import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { applyPass } from '../pass.js';
import { expectEqualOutputs } from '../testing/node-fixtures.js';
import { foldBatchNorm } from './fold-batch-norm.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const parameters = (channels: number) => `
  float[${channels}] g = normal(seed=1, mean=1, std=0.3), float[${channels}] b = normal(seed=2),
  float[${channels}] m = normal(seed=3), float[${channels}] v = uniform(seed=4, low=0.5, high=2)`;

const convolution = fc.record({
  op: fc.constantFrom('Conv', 'ConvTranspose'),
  groups: fc.integer({ min: 1, max: 3 }),
  inPerGroup: fc.integer({ min: 1, max: 3 }),
  outPerGroup: fc.integer({ min: 1, max: 3 }),
  kernel: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 2 }),
  pad: fc.integer({ min: 0, max: 1 }),
  bias: fc.boolean(),
  before: fc.boolean(),
});

test('folding agrees with the original for convolutions of all kinds', async () => {
  let folded = 0;
  await fc.assert(
    fc.asyncProperty(convolution, async (shape) => {
      const { op, groups, kernel, stride, before } = shape;
      // A ConvTranspose crops by its pads, which needs a kernel larger than the crop.
      const pad = op === 'ConvTranspose' && kernel < 3 ? 0 : shape.pad;
      const ins = groups * shape.inPerGroup;
      const outs = groups * shape.outPerGroup;
      const dims =
        op === 'Conv' ? [outs, shape.inPerGroup, kernel] : [ins, shape.outPerGroup, kernel];
      const conv = (input: string) =>
        `${op}<group = ${groups}, strides = [${stride}], pads = [${pad}, ${pad}]>` +
        `(${input}, w${shape.bias ? ', c' : ''})`;
      const body = before
        ? `r = Relu(x) n = BatchNormalization(r, g, b, m, v) y = ${conv('n')}`
        : `n = ${conv('x')} y = BatchNormalization(n, g, b, m, v)`;
      const model = parseModel(`
        main (float[2,${ins},7] x) => (float[2,${outs},L] y)
        < ${parameters(before ? ins : outs)}, float[${dims}] w = normal(seed=5),
          float[${outs}] c = normal(seed=6) >
        { ${body} }`);
      const { model: result, report } = await applyPass(model, foldBatchNorm, {}, { engine });
      const even = op === 'Conv' ? pad === 0 : kernel === 1 && stride === 1 && pad === 0;
      expect(report.changed).toHaveLength(before && !even ? 0 : 1);
      folded += report.changed.length;
      await expectEqualOutputs(engine, model, result);
    }),
    { numRuns: 40, seed: 7 },
  );
  expect(folded).toBeGreaterThan(10);
});

test.each([
  ['training mode', '<training_mode = 1>', ', rm, rv', 'it is in training mode'],
  ['another kind of value', '', '', 'its input is made by Relu'],
])('%s stays and says why', async (name, attributes, outputs, reason) => {
  const input = name === 'training mode' ? 'c' : 'r';
  const model = parseModel(`
    main (float[2,3,4] x) => (float[2,3,4] y)
    < ${parameters(3)}, float[3,3,1] w = normal(seed=5) >
    {
      c = Conv(x, w)
      r = Relu(c)
      n${outputs} = BatchNormalization${attributes}(${input}, g, b, m, v)
      y = Add(n, r)
    }`);
  const { report } = await applyPass(model, foldBatchNorm, {}, { engine });
  expect(report.changed).toEqual([]);
  expect(report.skipped[0]?.reason).toContain(reason);
});

test.each([
  ['float16 weights', 'float16', 1, 'float16 weights'],
  ['infinite factors', 'float', 0, 'not finite'],
])('%s are left alone', async (_name, type, variance, reason) => {
  const model = parseModel(`
    main (${type}[2,1,4] x) => (${type}[2,1,4] y)
    < ${type}[1,1,1] w = {1}, ${type}[1] g = {1}, ${type}[1] b = {0}, ${type}[1] m = {0},
      ${type}[1] v = {${variance}} >
    { c = Conv(x, w) y = BatchNormalization<epsilon = 0.0>(c, g, b, m, v) }`);
  const { report } = await applyPass(model, foldBatchNorm, {}, { engine });
  expect(report.skipped[0]?.reason).toContain(reason);
});

test('a large weight that others use too is not copied', async () => {
  const model = parseModel(`
    main (float[2,3,4] x) => (float[2,3,4] y, float[2,3,4] z)
    < ${parameters(3)}, float[3,3,1] w = normal(seed=5) >
    { c = Conv(x, w) y = BatchNormalization(c, g, b, m, v) n = Neg(x) z = Conv(n, w) }`);
  const { report } = await applyPass(model, foldBatchNorm, { copyLimitBytes: 35 }, { engine });
  expect(report.skipped[0]?.reason).toContain('(36 bytes) is used elsewhere too');
});

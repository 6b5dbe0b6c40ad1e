import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { type QuantizeOptions, quantizeDynamic } from '../testing/node-dynamic.js';
import { fileBytes, firstOutput, runModel, snr } from '../testing/node-models.js';
import { quantize } from './index.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const quantized = (text: string, options?: QuantizeOptions) =>
  quantizeDynamic(engine, text, options);
const all = { minElements: 0 };

describe('choosing nodes', () => {
  const text = `main (float[8,16] x) => (float[8,16] y)
    < float[16,16] v = normal(seed=1), float[16,16] w = normal(seed=2) >
    { ["/encoder/fc"] h = MatMul(x, v) [act] r = Relu(h) ["/head/fc"] y = MatMul(r, w) }`;
  test.each([
    [{ exclude: ['/head/*'] }, ['/encoder/fc']],
    [{ include: ['/head/*'] }, ['/head/fc']],
    [{ include: ['op:MatMul'], exclude: ['/encoder/fc'] }, ['/head/fc']],
    [{ exclude: ['op:*'] }, []],
  ])('%j', async (options, changed) => {
    const { report } = await quantized(text, options);
    expect(report.changed.map(({ node }) => node)).toEqual(changed);
    expect(report.changed.length + report.skipped.length).toBe(3);
  });

  test.each(['include', 'exclude'])(
    '%s: a pattern that matches nothing is an error',
    async (option) => {
      await expect(quantized(text, { [option]: ['/haed/*'] })).rejects.toMatchObject({
        code: 'usage',
        message: `${option}: "/haed/*" matches no node of the model`,
      });
    },
  );

  test('small weights stay float, with the numbers', async () => {
    const { report } = await quantized(text, { minElements: 300 });
    expect(report.skipped[0]).toEqual({
      node: '/encoder/fc',
      op: 'MatMul',
      reason: 'its weight has 256 elements, fewer than minElements 300',
    });
  });
});

describe('the model as a whole', () => {
  test.each([7, 9, 10])('opset %i is converted, not renumbered', async (opset) => {
    const { model, small } = await quantized(
      `< ir_version: 4, opset_import: ["" : ${opset}] >
       main (float[8,16] x) => (float[8,16] y) < float[16,16] w = normal(seed=1) >
       { h = MatMul(x, w) c = Clip<min = -1.0, max = 1.0>(h) d = Dropout<ratio = 0.5>(c) y = Softmax(d) }`,
    );
    expect(small.opsets.get('')).toBe(11);
    const { feeds, outputs } = await runModel(engine, model);
    expect(snr(float32Of(outputs.y!), await firstOutput(engine, small, feeds))).toBeGreaterThan(30);
  });

  test('nothing to quantize leaves the model as it is, opset included', async () => {
    const text = `< ir_version: 4, opset_import: ["" : 9] >
      main (float[8] x) => (float[8] y) { y = Relu(x) }`;
    const { model, small, report } = await quantized(text);
    expect(await printModel(small)).toBe(await printModel(model));
    expect(report.skipped).toEqual([
      { node: 'y', op: 'Relu', reason: 'no quantized form of Relu in this scheme' },
    ]);
  });

  test('the names of nodes and values stay unique', async () => {
    const { small } = await quantized(
      `main (float[8,16] x) => (float[8,16] y)
       < float[16,16] w = normal(seed=1), float[16,16] w_quantized = normal(seed=2) >
       { [a] h = MatMul(x, w) [a_Cast] y = MatMul(h, w_quantized) }`,
    );
    const nodes = [...small.graph.nodes].map(({ name }) => name);
    expect(new Set(nodes).size).toBe(nodes.length);
    await firstOutput(engine, small);
  });

  test('NaN weights are an error that names the tensor', async () => {
    const text = `main (float[1,2] x) => (float[1,2] y) < float[2,2] w = {1, nan, 2, 3} >
      { y = MatMul(x, w) }`;
    await expect(quantized(text, all)).rejects.toThrow(
      'quantize: 1 weights are NaN or infinite, the first in channel 1 (tensor "w")',
    );
  });

  test('operators with weights that the scheme does not know are reported', async () => {
    const { report } = await quantized(
      `main (float[1,8,5,5] x) => (float[1,4,7,7] y) < float[8,4,3,3] w = normal(seed=1) >
       { y = ConvTranspose(x, w) }`,
    );
    expect(report.skipped[0]!.reason).toBe('no quantized form of ConvTranspose in this scheme');
  });

  test('functions of the model are reported', async () => {
    const { report } = await quantized(
      `< ir_version: 8, opset_import: ["" : 17, "local" : 1] >
       main (float[8,16] x) => (float[8,16] y) < float[16,16] w = normal(seed=1) >
       { y = local.Dense(x, w) }
       < domain: "local", opset_import: ["" : 17] > Dense (x, w) => (y) { y = MatMul(x, w) }`,
    );
    expect(report.skipped.map(({ reason }) => reason)).toEqual([
      'no quantized form of local:Dense in this scheme',
      'inside the model function Dense',
    ]);
  });

  test('an unknown scheme is a usage error that lists them', async () => {
    await expect(quantize(parseModel('main () => () {}'), 'int3')).rejects.toMatchObject({
      code: 'usage',
      hint: 'schemes: static, dynamic, weight-only, float16',
    });
  });

  test('a model of MatMuls is about a quarter of its size', async () => {
    const { model, small } = await quantized(
      `main (float[8,64] x) => (float[8,64] y) < float[64,256] v = normal(seed=1), float[256,64] w = normal(seed=2) >
       { h = MatMul(x, v) r = Relu(h) y = MatMul(r, w) }`,
    );
    expect((await fileBytes(small)) / (await fileBytes(model))).toBeLessThan(0.3);
  });
});

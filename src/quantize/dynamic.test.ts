import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { applyPass } from '../pass.js';
import {
  expectedNoise,
  fileBytes,
  firstOutput,
  opsOf,
  optimizedOps,
  rms,
  runModel,
  snr,
} from '../testing/node-models.js';
import { dynamic } from './dynamic.js';
import { quantize } from './index.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const all = { minElements: 0 };

/** The quantized model, after the checks that hold for every model. */
async function quantized(
  text: string,
  options: Parameters<typeof applyPass<typeof dynamic.options>>[2] = {},
) {
  const model = parseModel(text);
  const before = await printModel(model, { weights: 'full' });
  const { model: small, report } = await applyPass(model, dynamic, options, { engine });
  expect(await printModel(model, { weights: 'full' }), 'the model given').toBe(before);
  expect(small.graph.outputs.map(({ name }) => name)).toEqual(
    model.graph.outputs.map(({ name }) => name),
  );
  const once = await printModel(small, { weights: 'full' });
  const twice = await applyPass(small, dynamic, options, { engine });
  expect(await printModel(twice.model, { weights: 'full' }), 'the second run').toBe(once);
  expect(twice.report.changed).toEqual([]);
  // Every node of the result that was there before is accounted for.
  const names = new Set([...small.allNodes()].map((node) => node.label));
  for (const node of model.allNodes()) {
    const isReported = [...report.changed, ...report.skipped].some(
      (row) => row.node === node.label,
    );
    expect(isReported || !names.has(node.label), node.label).toBe(true);
  }
  return { model, small, report };
}

/** The error on random inputs beside the one that rounding must make: `terms` products a sum. */
async function expectNoise(model: Model, small: Model, x: string, w: string, terms: number) {
  const { feeds, outputs } = await runModel(engine, model, undefined, 'disabled');
  const name = model.graph.outputs[0]!.name;
  const weights = await model.graph.value(w).initializer!.floats();
  const expected = expectedNoise(float32Of(feeds[x]!), weights, terms);
  for (const optimization of ['disabled', 'all'] as const) {
    const results = await runModel(engine, small, feeds, optimization);
    expect(results.outputs[name]!.dims).toEqual(outputs[name]!.dims);
    expect(results.outputs[name]!.dataType).toBe(outputs[name]!.dataType);
    const noise = rms(float32Of(outputs[name]!), float32Of(results.outputs[name]!));
    expect(noise).toBeLessThan(1.6 * expected);
    expect(noise).toBeGreaterThan(0);
  }
  return expected;
}

describe('MatMul', () => {
  const shapes = [
    ['a matrix', '[8,32]', '[32,16]', '[8,16]', 32],
    ['odd sizes', '[7,33]', '[33,17]', '[7,17]', 33],
    ['one row', '[1,64]', '[64,24]', '[1,24]', 64],
    ['one term', '[16,1]', '[1,16]', '[16,16]', 1],
    ['one column', '[64,32]', '[32,1]', '[64,1]', 32],
    ['a batch of activations', '[2,5,32]', '[32,16]', '[2,5,16]', 32],
    ['a batch of weights', '[3,5,32]', '[3,32,16]', '[3,5,16]', 32],
    ['weights that broadcast', '[2,3,5,32]', '[3,32,16]', '[2,3,5,16]', 32],
    ['weights with a batch of one', '[5,32]', '[1,32,16]', '[1,5,16]', 32],
    ['a vector', '[32]', '[32,64]', '[64]', 32],
  ] as const;
  test.each(shapes)('%s', async (_name, x, w, y, terms) => {
    for (const perChannel of [true, false]) {
      const { model, small } = await quantized(
        `main (float${x} x) => (float${y} y) < float${w} w = normal(seed=2, std=0.3) >
         { y = MatMul(x, w) }`,
        { ...all, perChannel },
      );
      await expectNoise(model, small, 'x', 'w', terms);
      const ops = await optimizedOps(engine, small);
      expect(ops.DynamicQuantizeMatMul).toBe(1);
      expect(ops.MatMulInteger ?? 0).toBe(0);
    }
  });

  test('nodes that take the same activation quantize it once', async () => {
    const { small } = await quantized(
      `main (float[8,32] x) => (float[8,16] y)
       < float[32,16] q = normal(seed=1), float[32,16] k = normal(seed=2) >
       { a = MatMul(x, q) b = MatMul(x, k) y = Add(a, b) }`,
    );
    expect(opsOf(small).DynamicQuantizeLinear).toBe(1);
    const ops = await optimizedOps(engine, small);
    expect(ops.MatMulInteger ?? 0).toBe(0);
  });

  test('the output may be an output of the graph and have users', async () => {
    const { model, small } = await quantized(
      `main (float[8,32] x) => (float[8,16] y, float[8,16] z) < float[32,16] w = normal(seed=1) >
       { y = MatMul(x, w) z = Relu(y) }`,
    );
    await expectNoise(model, small, 'x', 'w', 32);
    const { outputs } = await runModel(engine, small);
    expect(float32Of(outputs.z!)).toEqual(float32Of(outputs.y!).map((v) => Math.max(0, v)));
  });

  test('float16 activations and weights', async () => {
    const { model, small } = await quantized(
      `main (float16[8,32] x, float16[8,16] b) => (float16[8,16] y)
       < float16[32,16] w = normal(seed=1) > { p = MatMul(x, w) y = Add(p, b) }`,
    );
    const { feeds, outputs } = await runModel(engine, model);
    const results = await runModel(engine, small, feeds);
    expect(results.outputs.y!.dataType).toBe('float16');
    expect(snr(float32Of(outputs.y!), float32Of(results.outputs.y!))).toBeGreaterThan(35);
  });

  test('reduceRange halves the codes', async () => {
    const { small } = await quantized(
      `main (float[8,32] x) => (float[8,16] y) < float[32,16] w = normal(seed=1) >
       { y = MatMul(x, w) }`,
      { reduceRange: true },
    );
    const stored = small.graph.initializers.find((v) => v.initializer!.size === 512)!;
    const codes = await stored.initializer!.floats();
    expect([Math.min(...codes), Math.max(...codes)]).toEqual([-63, 63]);
  });

  test('inside a Loop, with weights around it', async () => {
    const { model, small } = await quantized(
      `main (float[4,16] x, int64 n, bool go) => (float[4,16] y)
       < float[16,16] w = normal(seed=1, std=0.25) >
       { y = Loop(n, go, x) < body = step (int64 i, bool c, float[4,16] h) => (bool d, float[4,16] g)
           { d = Identity(c) p = MatMul(h, w) g = Tanh(p) } > }`,
    );
    expect(opsOf(small).MatMulInteger).toBe(1);
    const feeds = {
      x: hostTensor(
        'float',
        [4, 16],
        Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)),
      ),
      n: hostTensor('int64', [], BigInt64Array.of(3n)),
      go: hostTensor('bool', [], Uint8Array.of(1)),
    };
    const [a, b] = [
      await firstOutput(engine, model, feeds),
      await firstOutput(engine, small, feeds),
    ];
    expect(snr(a, b)).toBeGreaterThan(30);
  });
});

describe('Gemm', () => {
  const biases = ['', '[16]', '[1,16]', '[8,16]', '[8,1]', '[1]', ''] as const;
  const cases = fc.record({
    transA: fc.constantFrom(0, 1),
    transB: fc.constantFrom(0, 1),
    alpha: fc.constantFrom(1, 0.5, -2),
    beta: fc.constantFrom(1, 0.25, 0),
    bias: fc.constantFrom(...biases),
    computed: fc.boolean(),
  });

  test('every combination of transposes, factors and biases', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ transA, transB, alpha, beta, bias, computed }) => {
        const x = transA ? '[32,8]' : '[8,32]';
        const w = transB ? '[16,32]' : '[32,16]';
        const attributes = `transA = ${transA}, transB = ${transB}, alpha = ${alpha.toFixed(2)}, beta = ${beta.toFixed(2)}`;
        const text = `main (float${x} x) => (float[8,16] y)
          < float${w} w = normal(seed=2, std=0.3)${bias && `, float${bias} b = normal(seed=3, std=5)`} >
          { ${bias && computed ? 'c = Neg(b)' : ''}
            y = Gemm<${attributes}>(x, w${bias && (computed ? ', c' : ', b')}) }`;
        const { model, small, report } = await quantized(text);
        expect(report.changed.map(({ what }) => what)).toEqual([
          `MatMulInteger, int8 weight ${w} per channel`,
        ]);
        const { feeds, outputs } = await runModel(engine, model);
        const found = await firstOutput(engine, small, feeds);
        const weights = await model.graph.value('w').initializer!.floats();
        const noise = Math.abs(alpha) * expectedNoise(float32Of(feeds.x!), weights, 32);
        expect(rms(float32Of(outputs.y!), found)).toBeLessThan(1.6 * noise);
        expect((await optimizedOps(engine, small)).MatMulInteger ?? 0).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test('a bias that broadcasts by the rules of opset 6 is converted', async () => {
    const { small } = await quantized(
      `< ir_version: 3, opset_import: ["" : 6] >
       main (float[8,32] x, float[32,16] w = normal(seed=2), float[16] b = normal(seed=3)) => (float[8,16] y)
       { y = Gemm<broadcast = 1, alpha = 2.0>(x, w, b) }`,
    );
    expect(small.opsets.get('')).toBe(11);
    // The runtime has no kernels for opset 6, so a newer model is the reference.
    const model = parseModel(`main (float[8,32] x) => (float[8,16] y)
      < float[32,16] w = normal(seed=2), float[16] b = normal(seed=3) >
      { y = Gemm<alpha = 2.0>(x, w, b) }`);
    expect(snr(await firstOutput(engine, model), await firstOutput(engine, small))).toBeGreaterThan(
      35,
    );
  });
});

describe('LSTM', () => {
  const lstm = (options: {
    directions?: number;
    states?: boolean;
    lengths?: boolean;
    peepholes?: boolean;
  }) => {
    const d = options.directions ?? 1;
    const direction = d === 2 ? 'bidirectional' : 'forward';
    const rest = [
      options.lengths ? 'lengths' : '""',
      options.states ? 'h0' : '""',
      options.states ? 'c0' : '""',
      options.peepholes ? 'p' : '""',
    ].join(', ');
    return `main (float[6,2,24] x, float[${d},2,16] h0, float[${d},2,16] c0)
        => (float[6,${d},2,16] y, float[${d},2,16] h, float[${d},2,16] c)
      < float[${d},64,24] w = normal(seed=1, std=0.2), float[${d},64,16] r = normal(seed=2, std=0.2),
        float[${d},128] b = normal(seed=3, std=0.1), float[${d},48] p = normal(seed=4, std=0.3),
        int32[2] lengths = {6, 3} >
      { y, h, c = LSTM<hidden_size = 16, direction = "${direction}">(x, w, r, b, ${rest}) }`;
  };

  test.each([
    ['forward', {}],
    ['bidirectional', { directions: 2 }],
    ['with initial states', { states: true }],
    ['with sequence lengths', { lengths: true }],
    ['with peepholes', { peepholes: true }],
    ['with everything', { directions: 2, states: true, lengths: true, peepholes: true }],
  ])('%s', async (_name, options) => {
    for (const perChannel of [true, false]) {
      const { model, small } = await quantized(lstm(options), { perChannel });
      expect(opsOf(small)).toEqual({ DynamicQuantizeLSTM: 1 });
      const { feeds, outputs } = await runModel(engine, model);
      const results = await runModel(engine, small, feeds);
      for (const name of ['y', 'h', 'c']) {
        const [a, b] = [outputs[name]!, results.outputs[name]!];
        expect(b.dims).toEqual(a.dims);
        expect(snr(float32Of(a), float32Of(b)), name).toBeGreaterThan(25);
      }
    }
  });

  test('without bias, and with weights shared by two nodes', async () => {
    const { small } = await quantized(
      `main (float[6,2,16] x) => (float[6,1,2,16] z)
       < float[1,64,16] w = normal(seed=1, std=0.2), float[1,64,16] r = normal(seed=2, std=0.2), int64[1] a = {1} >
       { y = LSTM<hidden_size = 16>(x, w, r) s = Squeeze(y, a) z = LSTM<hidden_size = 16>(s, w, r) }`,
    );
    expect(opsOf(small).DynamicQuantizeLSTM).toBe(2);
    const stored = small.graph.initializers.filter((v) => v.initializer!.size === 1024);
    expect(stored).toHaveLength(2);
    await firstOutput(engine, small);
  });

  test('batch-first layout is refused', async () => {
    const { report } = await quantized(lstm({}).replace('hidden_size', 'layout = 1, hidden_size'));
    expect(report.skipped[0]!.reason).toContain('batch-first');
  });
});

describe('Conv', () => {
  const conv = { conv: true };
  test.each([
    ['2-D', '[2,8,9,9]', '[16,8,3,3]', '', true, 72],
    [
      'pads, strides and dilations',
      '[1,8,11,11]',
      '[16,8,3,3]',
      'pads = [1, 2, 0, 1], strides = [2, 1], dilations = [2, 1]',
      true,
      72,
    ],
    ['auto_pad', '[1,8,9,9]', '[16,8,3,3]', 'auto_pad = "SAME_UPPER", strides = [2, 2]', true, 72],
    ['pointwise without bias', '[1,32,5,5]', '[16,32,1,1]', '', false, 32],
    ['1-D', '[2,16,20]', '[8,16,5]', 'pads = [2, 2]', true, 80],
  ] as const)('%s', async (_name, x, w, attributes, bias, terms) => {
    for (const perChannel of [true, false]) {
      const { model, small } = await quantized(
        `main (float${x} x) => (float[] y)
         < float${w} w = normal(seed=2, std=0.3), float[${w.slice(1).split(',')[0]}] b = normal(seed=3) >
         { y = Conv<${attributes}>(x, w${bias ? ', b' : ''}) }`.replace('Conv<>', 'Conv'),
        { ...conv, perChannel },
      );
      // The declared rank of the output was a placeholder for the tests.
      model.graph.outputs[0]!.type = undefined;
      small.graph.outputs[0]!.type = undefined;
      await expectNoise(model, small, 'x', 'w', terms);
      expect(opsOf(small).ConvInteger).toBe(1);
    }
  });

  test('scales differ by channel though the kernel takes one zero point', async () => {
    const text = `main (float[1,16,6,6] x) => (float[1,2,6,6] y)
      < float[2,16,1,1] a = normal(seed=1), float[2,1,1,1] f = {1, 0.001} >
      { w = Mul(a, f) y = Conv(x, w) }`;
    const { model: folded } = await import('../simplify/index.js').then(({ simplify }) =>
      simplify(parseModel(text), {}, { engine }),
    );
    const run = async (perChannel: boolean) => {
      const { model } = await applyPass(folded, dynamic, { ...conv, ...all, perChannel });
      const { feeds, outputs } = await runModel(engine, folded);
      const found = await firstOutput(engine, model, feeds);
      return snr(float32Of(outputs.y!).subarray(36), found.subarray(36));
    };
    expect(await run(true)).toBeGreaterThan(30);
    expect(await run(false)).toBeLessThan(10);
  });

  test('depthwise and grouped ones are refused, and all without the option', async () => {
    const text = `main (float[1,16,8,8] x) => (float[1,16,6,6] y) < float[16,1,3,3] w = normal() >
      { y = Conv<group = 16>(x, w) }`;
    expect((await quantized(text, { ...conv, ...all })).report.skipped[0]!.reason).toBe(
      'integer kernels are slower than float for grouped and depthwise Conv',
    );
    expect((await quantized(text)).report.skipped[0]!.reason).toBe(
      'dynamic convolutions are off (option conv)',
    );
  });
});

describe('Gather', () => {
  test.each([
    [0, '[50,16]', '[2,3]', '[2,3,16]'],
    [1, '[16,50]', '[4]', '[16,4]'],
    [-1, '[16,50]', '[]', '[16]'],
    [0, '[50,4,4]', '[3]', '[3,4,4]'],
  ])('along axis %i of %s', async (axis, table, ids, y) => {
    const { model, small } = await quantized(
      `main (int64${ids === '[]' ? '' : ids} ids) => (float${y} y) < float${table} w = normal(seed=1) >
       { y = Gather<axis = ${axis}>(w, ids) }`,
    );
    const { feeds, outputs } = await runModel(engine, model);
    const found = await firstOutput(engine, small, feeds);
    const weights = await model.graph.value('w').initializer!.floats();
    const halfStep = Math.max(...weights.map(Math.abs)) / 127 / 2;
    const [a, b] = [float32Of(outputs.y!), found];
    expect(a.every((value, i) => Math.abs(value - b[i]!) <= halfStep * 1.001)).toBe(true);
    // The whole table must not turn to float in every run.
    expect(opsOf(small)).toEqual({ Gather: 2, Cast: 1, Mul: 1 });
  });

  test('float16 tables give float16', async () => {
    const { model, small } = await quantized(
      `main (int64[4] ids) => (float16[4,16] y) < float16[50,16] w = normal(seed=1) >
       { y = Gather(w, ids) }`,
    );
    const { feeds, outputs } = await runModel(engine, model);
    const results = await runModel(engine, small, feeds);
    expect(results.outputs.y!.dataType).toBe('float16');
    expect(snr(float32Of(outputs.y!), float32Of(results.outputs.y!))).toBeGreaterThan(35);
  });

  test('short rows, vectors and integers are refused', async () => {
    const { report } = await quantized(
      `main (int64[4] ids) => (float[4,2] a, float[4] b, int64[4] c)
       < float[500,2] t = normal(), float[500] u = normal(), int64[500] v = range() >
       { a = Gather(t, ids) b = Gather(u, ids) c = Gather(v, ids) }`,
    );
    expect(report.skipped.map(({ reason }) => reason)).toEqual([
      'its rows have 2 elements, the scales would weigh as much',
      'its table is a vector',
      'its weight is int64, which is no float type',
    ]);
  });
});

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
      hint: 'schemes: dynamic, weight-only, float16',
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

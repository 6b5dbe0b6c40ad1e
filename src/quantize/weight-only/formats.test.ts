import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { printModel } from '../../graph/print.js';
import { Tensor } from '../../onnx/tensor.js';
import { applyPass } from '../../pass.js';
import { createRandom } from '../../random.js';
import {
  fileBytes,
  opsOf,
  optimizedOps,
  runModel,
  snr,
  usedTooEarly,
} from '../../testing/node-models.js';
import { type WeightType, weightTypes } from '../names.js';
import { weightOnly } from '../weight-only.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

type Options = Parameters<typeof applyPass<typeof weightOnly.options>>[2];

async function quantized(source: string | Model, options: Options) {
  const model = typeof source === 'string' ? parseModel(source) : source;
  const before = await printModel(model, { weights: 'full' });
  const { model: small, report } = await applyPass(model, weightOnly, options, { engine });
  expect(await printModel(model, { weights: 'full' }), 'the model given').toBe(before);
  expect(usedTooEarly(small.graph), 'values used before they are made').toEqual([]);
  const twice = await applyPass(small, weightOnly, options, { engine });
  expect(twice.report.changed).toEqual([]);
  return { model, small, report };
}

/** SNR in dB against the float model: as written, and as the runtime makes it. */
async function quality(model: Model, small: Model): Promise<{ written: number; fused: number }> {
  const { feeds, outputs } = await runModel(engine, model, undefined, 'disabled');
  const y = float32Of(outputs.y!);
  const run = async (level: 'disabled' | 'all') => {
    const results = await runModel(engine, small, feeds, level);
    expect(results.outputs.y!.dims).toEqual(outputs.y!.dims);
    return snr(y, float32Of(results.outputs.y!));
  };
  return { written: await run('disabled'), fused: await run('all') };
}

/** What rounding normal weights leaves, in dB, with a little room. */
const leastSnr: Readonly<Record<WeightType, number>> = {
  int16: 85,
  uint16: 85,
  int8: 38,
  uint8: 38,
  float8e4m3fn: 28,
  int4: 15,
  uint4: 15,
};

const matMul = (k: number, n: number, seed = 1) => `main (float[4,${k}] x) => (float[4,${n}] y)
  < float[${k},${n}] w = normal(seed=${seed}) > { y = MatMul(x, w) }`;

const operators: Readonly<Record<string, string>> = {
  MatMul: matMul(64, 128),
  Gemm: `main (float[4,64] x) => (float[4,128] y) < float[128,64] w = normal(seed=1), float[128] b = normal(seed=2) >
    { y = Gemm<transB = 1>(x, w, b) }`,
  Conv: `main (float[1,32,9,9] x) => (float[1,32,7,7] y)
    < float[32,32,3,3] w = normal(seed=1), float[32] b = normal(seed=2) > { y = Conv(x, w, b) }`,
  LSTM: `main (float[5,2,16] x) => (float[5,1,2,32] y)
    < float[1,128,16] w = normal(seed=1, std=0.2), float[1,128,32] r = normal(seed=2, std=0.2) >
    { y = LSTM<hidden_size = 32>(x, w, r) }`,
  'float16 MatMul': `main (float16[4,64] x) => (float16[4,128] y)
    < float16[64,128] w = normal(seed=1) > { y = MatMul(x, w) }`,
};

describe.each(['dequantize', 'cast'] as const)('form %s', (form) => {
  test.each(weightTypes)('%s weights of every operator, symmetric and not', async (weights) => {
    for (const [name, text] of Object.entries(operators)) {
      const both = name === 'MatMul' && weights !== 'float8e4m3fn';
      for (const weightSymmetric of both ? [true, false] : [undefined]) {
        const { model, small, report } = await quantized(text, { form, weights, weightSymmetric });
        expect(report.changed[0]!.what, name).toContain(`${weights} weight`);
        const { written, fused } = await quality(model, small);
        const least = Math.min(leastSnr[weights], name === 'float16 MatMul' ? 60 : 100);
        expect(written, name).toBeGreaterThan(least);
        // The runtime's own kernel rounds the activations to 8 bits.
        expect(fused, name).toBeGreaterThan(Math.min(least, 36));
      }
    }
  });
});

test.each([
  ['dequantize', 'int8', undefined, 13],
  ['dequantize', 'uint8', 32, 21],
  ['dequantize', 'int4', undefined, 21],
  ['dequantize', 'uint16', undefined, 21],
  ['dequantize', 'float8e4m3fn', undefined, 19],
  ['cast', 'int16', undefined, 9],
  ['cast', 'uint4', undefined, 21],
  ['cast', 'float8e4m3fn', undefined, 19],
  ['nbits', 'int4', 32, 9],
] as const)(
  'form %s of %s in blocks of %s needs opset %i',
  async (form, weights, blockSize, opset) => {
    const text = `< ir_version: 4, opset_import: ["" : 9] > ${matMul(64, 128)}`;
    const { small } = await quantized(text, { form, weights, blockSize });
    expect(small.opsets.get('')).toBe(opset);
    await runModel(engine, small);
  },
);

describe('blocks', () => {
  const shapes = [
    { k: 64, n: 33, blockSize: 16 },
    // K is no multiple of the block, N is 1, odd counts of blocks: where other quantizers crash.
    { k: 100, n: 40, blockSize: 32 },
    { k: 1100, n: 1, blockSize: 256 },
    { k: 1056, n: 1, blockSize: 32 },
    { k: 384, n: 8, blockSize: 128 },
    { k: 576, n: 3, blockSize: 64 },
    { k: 48, n: 30, blockSize: 128 },
  ] as const;

  test.each(shapes)('$k x $n in blocks of $blockSize', async ({ k, n, blockSize }) => {
    for (const weights of ['int4', 'uint4', 'int8', 'uint8'] as const) {
      for (const form of ['dequantize', 'nbits'] as const) {
        const { model, small } = await quantized(matMul(k, n), {
          weights,
          form,
          blockSize,
          minElements: 1,
        });
        const least = weights.endsWith('4') ? 14 : 34;
        const { written, fused } = await quality(model, small);
        expect(written, `${weights} ${form}`).toBeGreaterThan(least);
        expect(fused, `${weights} ${form}`).toBeGreaterThan(least);
        expect(await optimizedOps(engine, small)).toEqual({ MatMulNBits: 1 });
      }
    }
  });

  test('finer blocks come closer', async () => {
    const found: number[] = [];
    for (const blockSize of [undefined, 128, 32, 16] as const) {
      const { model, small } = await quantized(matMul(1024, 16), { weights: 'int4', blockSize });
      found.push((await quality(model, small)).written);
    }
    expect(found).toEqual([...found].sort((a, b) => a - b));
    expect(found.at(-1)! - found[0]!).toBeGreaterThan(3);
  });

  test('what has no single sum keeps its channels, and says so', async () => {
    const { report } = await quantized(operators.Conv!, { weights: 'int4', blockSize: 32 });
    expect(report.changed[0]!.what).toBe('int4 weight [32,32,3,3] per channel, form dequantize');
  });

  test('four bits take an eighth of the room, and the scales', async () => {
    const text = matMul(256, 512);
    for (const [options, ratio] of [
      [{ weights: 'int4' }, 0.125 + 1 / 256],
      [{ weights: 'int4', blockSize: 32 }, 0.125 + 1 / 32],
      [{ weights: 'uint4', blockSize: 32 }, 0.125 + 1 / 32 + 1 / 256],
      [{ weights: 'uint4', blockSize: 32, form: 'nbits' }, 0.125 + 1 / 32 + 1 / 256],
    ] as const) {
      const { model, small } = await quantized(text, options);
      const found = (await fileBytes(small)) / (await fileBytes(model));
      expect(found).toBeGreaterThan(ratio - 0.001);
      expect(found).toBeLessThan(ratio + 0.003);
    }
  });
});

describe('nbits', () => {
  test.each([1, 2, 3])(
    'Gemm with transB %i ways, factors and biases of all shapes',
    async (seed) => {
      const random = createRandom(seed);
      for (const transB of [0, 1]) {
        for (const bias of ['float[24] b', 'float[1] b', 'float[4,24] b', 'float b', undefined]) {
          const [alpha, beta] = [1 + random.int(2), 1 + random.int(2)].map((n) => `${n}.0`);
          const dims = transB ? '24,96' : '96,24';
          const weights = `float[${dims}] w = normal(seed=${seed})`;
          const more = bias ? `, ${bias} = normal(seed=7)` : '';
          const { model, small } = await quantized(
            `main (float[4,96] x) => (float[4,24] y) < ${weights}${more} >
           { y = Gemm<transB = ${transB}, alpha = ${alpha}, beta = ${beta}>(x, w${bias ? ', b' : ''}) }`,
            { form: 'nbits', weights: 'int8' },
          );
          const inside = bias === undefined || bias === 'float[24] b';
          expect(opsOf(small)).toEqual(inside ? { MatMulNBits: 1 } : { MatMulNBits: 1, Add: 1 });
          expect((await quality(model, small)).written).toBeGreaterThan(36);
        }
      }
    },
  );

  test('any rank of the activation', async () => {
    for (const [x, y] of [
      ['[64]', '[128]'],
      ['[2,3,64]', '[2,3,128]'],
      ['[2,2,3,64]', '[2,2,3,128]'],
    ]) {
      const text = matMul(64, 128).replace('[4,64]', x!).replace('[4,128]', y!);
      const { model, small } = await quantized(text, { form: 'nbits' });
      expect(opsOf(small)).toEqual({ MatMulNBits: 1 });
      expect((await quality(model, small)).written).toBeGreaterThan(36);
    }
  });

  test('the default block is 128, or what the sum fills', async () => {
    const whats = [];
    for (const k of [40, 64, 200]) {
      const { report } = await quantized(matMul(k, 64), { form: 'nbits', weights: 'int4' });
      whats.push(report.changed[0]!.what);
    }
    expect(whats).toEqual([
      'MatMulNBits, 4-bit weight [40,64] in blocks of 64',
      'MatMulNBits, 4-bit weight [64,64] in blocks of 64',
      'MatMulNBits, 4-bit weight [200,64] in blocks of 128',
    ]);
  });

  test('always accuracy level 4', async () => {
    for (const weights of ['int4', 'uint8'] as const) {
      const { small } = await quantized(matMul(64, 64), { form: 'nbits', weights });
      expect([...small.graph.nodes][0]!.int('accuracy_level', 0)).toBe(4);
    }
  });

  test('a table that is turned for a second user is stored once', async () => {
    const { model, small } = await quantized(
      `main (float[4,64] x) => (float[4,64] y) < float[96,64] w = normal(seed=1) >
       { t = Transpose<perm = [1,0]>(w) h = MatMul(x, t) u = Transpose<perm = [1,0]>(w)
         i = MatMul(x, u) s = Add(h, i) y = MatMul(s, w) }`,
      { form: 'nbits' },
    );
    // Summed along the rows by two of them, along the columns by the third.
    expect(small.graph.initializers.filter(({ dataType }) => dataType === 'uint8')).toHaveLength(2);
    expect((await quality(model, small)).written).toBeGreaterThan(34);
  });

  test('other operators go the way of cast, with 8 bits', async () => {
    const { small, report } = await quantized(operators.Conv!, { form: 'nbits', weights: 'int4' });
    expect(report.changed[0]!.what).toBe('int8 weight [32,32,3,3] per channel, form cast');
    expect(await optimizedOps(engine, small, 'basic')).toEqual({ Conv: 1 });
  });

  test('it says what the runtime makes of blocks in a DequantizeLinear, bit for bit', async () => {
    // Both give MatMulNBits with accuracy level 4: the same integers, the same floats.
    for (const weights of ['int4', 'uint4', 'int8', 'uint8'] as const) {
      const text = matMul(160, 48, 9);
      const asWritten = await quantized(text, { weights, blockSize: 32, form: 'nbits' });
      const fused = await quantized(text, { weights, blockSize: 32, form: 'dequantize' });
      const { feeds, outputs } = await runModel(engine, asWritten.small);
      expect((await runModel(engine, fused.small, feeds)).outputs).toEqual(outputs);
    }
  });
});

describe('float8', () => {
  const f8 = { weights: 'float8e4m3fn' } as const;

  test('loads in all forms of sums that the runtime fuses otherwise', async () => {
    for (const text of [
      'h = MatMul(x, w) y = Add(h, b)',
      'h = MatMul(x, w) y = Relu(h)',
      'h = Gemm(x, w, b) y = Relu(h)',
      'h = MatMul(x, w) g = MatMul(x, w) y = Add(g, h)',
    ]) {
      const { model, small } = await quantized(
        `main (float[4,64] x) => (float[4,128] y)
         < float[64,128] w = normal(seed=1), float[128] b = normal(seed=2) > { ${text} }`,
        f8,
      );
      expect((await quality(model, small)).fused).toBeGreaterThan(28);
    }
  });

  const beside = `main (float[4,64] x) => (float[4,128] y)
    < float[64,128] w = normal(seed=1), float s = {0.03}, uint8 z = {128} >
    { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = MatMul(d, w) }`;

  test('beside quantized activations the standard form is refused, the cast form runs', async () => {
    const { report } = await quantized(beside, f8);
    expect(report.skipped.find(({ op }) => op === 'MatMul')!.reason).toBe(
      'the runtime fails on float8 weights beside quantized activations',
    );
    const { model, small } = await quantized(beside, { ...f8, form: 'cast' });
    expect((await quality(model, small)).fused).toBeGreaterThan(28);
  });

  test('which it does: the session is not made', async () => {
    const text = beside
      .replace('(float[4,128] y)', '(float[4,128] y, float[4,64] d)')
      .replace('MatMul(d, w)', 'MatMul(x, w)');
    const { small } = await quantized(text, f8);
    const product = [...small.graph.nodes].find(({ op }) => op === 'MatMul')!;
    product.setInput(0, small.graph.value('d'));
    await expect(runModel(engine, small)).rejects.toThrow();
    await runModel(engine, small, undefined, 'disabled');
  });
});

test('embedding tables keep 8 bits, or 16', async () => {
  const text = `main (int64[3] i) => (float[3,64] y) < float[50,64] w = normal(seed=1) > { y = Gather(w, i) }`;
  for (const [weights, table] of [
    ['int4', 'int8'],
    ['float8e4m3fn', 'int8'],
    ['uint16', 'int16'],
  ] as const) {
    const { report } = await quantized(text, { weights });
    expect(report.changed[0]!.what).toBe(`${table} table [50,64], one scale per row`);
  }
});

test.each([
  [{ form: 'nbits', weights: 'int16' }, 'form nbits holds 4 and 8 bits, not int16'],
  [{ form: 'nbits', weights: 'float8e4m3fn' }, 'form nbits holds 4 and 8 bits, not float8e4m3fn'],
  [{ form: 'cast', blockSize: 32 }, 'blocks of 32 need a DequantizeLinear'],
  [{ perChannel: false, blockSize: 32 }, 'one scale per tensor and blocks exclude each other'],
  [{ weights: 'float8e4m3fn', blockSize: 32 }, 'float8e4m3fn has no use for blocks'],
  [{ weights: 'float8e4m3fn', weightSymmetric: false }, 'float8e4m3fn has no zero point'],
  [{ blockSize: 48 }, 'blockSize'],
] as const)('%j is refused', async (options, message) => {
  const model = parseModel(matMul(64, 64));
  await expect(applyPass(model, weightOnly, options as Options, { engine })).rejects.toThrow(
    message,
  );
});

test('weights that are shared by branches stay shared', async () => {
  const model = parseModel(
    `main (float[4,64] x) => (float[4,128] y) < float[64,128] w = normal(seed=1) >
     { a = MatMul(x, w) b = MatMul(x, w) y = Add(a, b) }`,
  );
  model.graph.value('w').initializer = Tensor.of(
    'float',
    [64, 128],
    Float32Array.from({ length: 64 * 128 }, (_, i) => Math.sin(i)),
  );
  for (const form of ['dequantize', 'cast', 'nbits'] as const) {
    const { small } = await quantized(model, {
      weights: 'int4',
      form,
      blockSize: form === 'cast' ? undefined : 32,
    });
    const stored = small.graph.initializers.filter(({ dims }) => dims!.length > 1);
    // Integers and scales.
    expect(stored).toHaveLength(2);
  }
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Feeds } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { cloneModel } from '../graph/clone.js';
import { differenceOf } from '../graph/equal.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { Tensor } from '../onnx/tensor.js';
import { runRecipe } from '../optimize/recipe.js';
import { applyPass } from '../pass.js';
import { firstOutput, snr } from '../testing/node-models.js';
import { maskOf, masksKey, readMasks } from './masks.js';
import { unstructured } from './unstructured.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** All ways in which a weight can lie: kernels, groups, depthwise, both sides, transposed, gates. */
const network = `main (float[2,8,6,6] x) => (float[2,3] y, float[3,1,2,4] z)
  < float[16,8,3,3] dense = normal(seed=1), float[16,4,1,1] grouped = normal(seed=2),
    float[16,1,3,3] deep = normal(seed=3), float[16,4,2,2] up = normal(seed=4),
    float[4,12] right = normal(seed=5), float[8,8] left = normal(seed=6),
    float[3,12] head = normal(seed=7),
    float[1,16,8] w = normal(seed=8), float[1,16,4] r = normal(seed=9),
    int64[2] starts = {0, 0}, int64[2] ends = {3, 1}, int64[2] axes = {2, 3},
    int64[2] flat = {2, -1}, int64[3] sequence = {3, 2, 8} >
  { a = Conv<pads=[1,1,1,1]>(x, dense) ra = Relu(a)
    b = Conv<group=4>(ra, grouped) rb = Relu(b)
    c = Conv<group=16, pads=[1,1,1,1]>(rb, deep)
    d = ConvTranspose<strides=[2,2]>(c, up)
    p = GlobalAveragePool(d) q = Reshape(p, flat)
    e = MatMul(q, right) y = Gemm<transB=1>(e, head)
    s = Slice(x, starts, ends, axes) t = Reshape(s, sequence) l = MatMul(t, left)
    ["lstm"] z = LSTM<hidden_size=4>(l, w, r) }`;

const weights = ['dense', 'grouped', 'deep', 'up', 'right', 'left', 'head', 'w', 'r'];

function samplesOf(count: number, dims: readonly number[] = [2, 8, 6, 6]) {
  return async function* (): AsyncGenerator<Feeds> {
    for (let seed = 0; seed < count; seed++) {
      yield randomFeeds([{ name: 'x', dataType: 'float', dims }], { seed });
    }
  };
}

async function zerosOf(model: Model, name: string): Promise<number> {
  const floats = await model.graph.value(name).constant!.floats();
  return floats.filter((x) => x === 0).length;
}

const sizeOf = (model: Model, name: string) => model.graph.value(name).constant!.size;

describe('unstructured', () => {
  test.each(['magnitude', 'random', 'wanda', 'sparsegpt'] as const)(
    '%s reaches the share in every layer and leaves the input model as it was',
    async (criterion) => {
      const model = parseModel(network);
      const before = cloneModel(model);
      const context = { engine, samples: samplesOf(3) };
      const options = { sparsity: 0.6, criterion };
      const { model: pruned, report } = await applyPass(model, unstructured, options, context);
      expect(await differenceOf(model, before)).toBeUndefined();
      const blind = ['wanda', 'sparsegpt'].includes(criterion);
      for (const name of weights) {
        const wanted = blind && name === 'r' ? 0 : Math.round(0.6 * sizeOf(model, name));
        expect([name, await zerosOf(pruned, name)]).toEqual([name, wanted]);
      }
      const seen = report.skipped.map(({ node, reason }) => [node, reason]);
      expect(seen).toEqual(
        blind
          ? [['lstm', `${criterion}: its recurrent weight sees a state inside of the operator`]]
          : [],
      );
      expect(report.notes.join()).toContain('zeros give no speed');
      const again = await applyPass(pruned, unstructured, options, context);
      expect(await differenceOf(again.model, pruned)).toBeUndefined();
    },
  );

  test('N:M runs along the input channels, place by place in the kernel', async () => {
    const model = parseModel(network);
    const { model: pruned, report } = await applyPass(model, unstructured, { pattern: '2:4' });
    const dense = await pruned.graph.value('dense').constant!.floats();
    for (let out = 0; out < 16; out++) {
      for (let tap = 0; tap < 9; tap++) {
        for (const half of [0, 4]) {
          const four = [0, 1, 2, 3].map((c) => dense[(out * 8 + half + c) * 9 + tap]!);
          expect(four.filter((x) => x === 0).length).toBe(2);
        }
      }
    }
    // x W: the inputs are the rows of the stored matrix.
    const right = await pruned.graph.value('right').constant!.floats();
    for (let out = 0; out < 12; out++) {
      expect([0, 1, 2, 3].filter((i) => right[i * 12 + out] === 0).length).toBe(2);
    }
    expect(report.skipped).toEqual([
      expect.objectContaining({ op: 'Conv', reason: expect.stringContaining('1 entries') }),
    ]);
  });

  test('a global scope compares layers, a row scope the rows of each', async () => {
    const model = parseModel(`main (float[1,4] x) => (float[1,2] y)
      < float[4,2] big = {9, 8, 7, 6, 5, 4, 3, 2}, float[2,2] small = {0.4, 0.3, 0.2, 0.1} >
      { a = MatMul(x, big) y = MatMul(a, small) }`);
    const prune = async (scope: 'global' | 'layer' | 'row') => {
      const options = { sparsity: 0.5, scope };
      const { model: pruned } = await applyPass(model, unstructured, options);
      return [await zerosOf(pruned, 'big'), await zerosOf(pruned, 'small')];
    };
    expect(await prune('global')).toEqual([2, 4]);
    expect(await prune('layer')).toEqual([4, 2]);
    expect(await prune('row')).toEqual([4, 2]);
  });

  test('wanda looks at the inputs: a large weight of a silent input leaves first', async () => {
    const model = parseModel(`main (float[1,4] x) => (float[1,1] y)
      < float[4,1] m = {1, 2, 3, 100} > { y = MatMul(x, m) }`);
    const samples = async function* (): AsyncGenerator<Feeds> {
      yield { x: { dataType: 'float', dims: [1, 4], data: Float32Array.of(9, 4, 0.5, 0.01) } };
    };
    const options = { sparsity: 0.5, criterion: 'wanda' } as const;
    const { model: pruned } = await applyPass(model, unstructured, options, { engine, samples });
    expect([...(await pruned.graph.value('m').constant!.floats())]).toEqual([1, 2, 0, 0]);
  });

  test('sparsegpt keeps the outputs nearest, wanda is nearer than chance', async () => {
    const model = parseModel(network);
    // Features that hang together and differ in size, as those of real layers do.
    const samples = async function* (): AsyncGenerator<Feeds> {
      for await (const { x } of samplesOf(8)()) {
        const data = (x!.data as Float32Array).slice();
        for (let i = 36; i < data.length; i++) data[i] = 0.5 * data[i]! + data[i - 36]!;
        yield { x: { ...x!, data } };
      }
    };
    const [feeds] = [(await samples().next()).value as Feeds];
    const expected = await firstOutput(engine, model, feeds);
    const include = ['op:Conv', 'op:ConvTranspose', 'op:MatMul', 'op:Gemm'];
    const found: Record<string, number> = {};
    for (const criterion of ['random', 'wanda', 'sparsegpt'] as const) {
      const options = { pattern: 'unstructured', sparsity: 0.5, criterion, include };
      const { model: pruned } = await applyPass(model, unstructured, options, { engine, samples });
      found[criterion] = snr(expected, await firstOutput(engine, pruned, feeds));
    }
    expect(found.sparsegpt).toBeGreaterThan(found.wanda!);
    expect(found.wanda).toBeGreaterThan(found.random! + 2);
  });

  test('a weight of several nodes is masked once, or left where one of them stays', async () => {
    const text = `main (float[1,4] x) => (float[1,4] y)
      < float[4,4] m = normal(seed=1) > { ["a"] a = MatMul(x, m) ["b"] y = MatMul(a, m) }`;
    const options = { sparsity: 0.5 };
    const { model, report } = await applyPass(parseModel(text), unstructured, options);
    expect(await zerosOf(model, 'm')).toBe(8);
    expect(report.changed.map(({ node, follows }) => [node, follows])).toEqual([
      ['a', undefined],
      ['b', true],
    ]);
    const left = await applyPass(parseModel(text), unstructured, { ...options, exclude: ['b'] });
    expect(left.report.changed).toEqual([]);
    expect(left.report.skipped.map(({ reason }) => reason)).toEqual([
      'its weight is shared with b, which stays',
      'excluded by the caller',
    ]);
    const turned = parseModel(text.replace('["b"] y = MatMul(a, m)', '["b"] y = MatMul(m, a)'));
    const other = await applyPass(turned, unstructured, options);
    expect(other.report.skipped[0]!.reason).toBe(
      'its weight is shared with b, which uses it in another way',
    );
  });

  test('refuses weights that are not finite, and options that contradict each other', async () => {
    const model = parseModel(`main (float[1,2] x) => (float[1,2] y)
      < float[2,2] m = {1, 2, 3, 4} > { y = MatMul(x, m) }`);
    model.graph.value('m').initializer = Tensor.of('float', [2, 2], [1, Number.NaN, 3, Infinity]);
    await expect(applyPass(model, unstructured, { sparsity: 0.5 })).rejects.toThrow(
      '"m" holds 2 values that are not finite, the first is NaN at 1',
    );
    const wrong = [
      {},
      { sparsity: 0.5, pattern: '2:4' },
      { scope: 'row', pattern: '2:4' },
      { sparsity: 0.5, pattern: '4x1', criterion: 'sparsegpt' },
      { sparsity: 0.5, scope: 'row', criterion: 'sparsegpt' },
      { sparsity: 0.5, scope: 'global', criterion: 'wanda' },
      { sparsity: 1 },
    ] as const;
    for (const options of wrong) {
      await expect(applyPass(model, unstructured, options)).rejects.toMatchObject({
        code: 'usage',
      });
    }
  });
});

describe('masks', () => {
  test('are recorded by name and read from what is zero, and outlive quantization', async () => {
    const model = parseModel(network);
    const recipe = [{ pass: 'prune-unstructured', options: { sparsity: 0.5 } }];
    const { model: pruned } = await runRecipe(model, recipe);
    expect([...readMasks(pruned).keys()].sort()).toEqual([...weights].sort());
    const mask = await maskOf(pruned.graph.value('head').constant!);
    expect(mask.reduce((sum, kept) => sum + kept, 0)).toBe(18);

    const both = [...recipe, { pass: 'weight-only', options: { minElements: 0 } }];
    const { model: small, reports } = await runRecipe(model, both, { engine });
    expect(reports.map(({ pass }) => pass)).toEqual(['prune-unstructured', 'weight-only']);
    const codes = await small.graph.value('head_quantized').constant!.numbers();
    expect(codes.filter((code) => code === 0).length).toBeGreaterThanOrEqual(18);
  });

  test('two runs leave both records, and a broken one is an error', async () => {
    const model = parseModel(network);
    const first = await applyPass(model, unstructured, { sparsity: 0.5, include: ['op:Gemm'] });
    const options = { pattern: '2:4', include: ['op:MatMul'] };
    const second = await applyPass(first.model, unstructured, options);
    expect(Object.fromEntries(readMasks(second.model))).toEqual({
      head: 'unstructured',
      right: '2:4',
      left: '2:4',
    });
    second.model.metadata.set(masksKey, '[1]');
    expect(() => readMasks(second.model)).toThrow('no object of patterns');
  });
});

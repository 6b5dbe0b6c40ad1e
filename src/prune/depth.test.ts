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
import { firstOutput, opsOf } from '../testing/node-models.js';
import { depth } from './depth.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** Three blocks after a stem; the second one is faint, the third changes the width and so stays. */
const resnet = `main (float[1,3,8,8] x) => (float[1,5] y)
  < float[4,3,3,3] stem = normal(seed=1),
    float[4,4,3,3] a1 = normal(seed=2), float[4,4,3,3] a2 = normal(seed=3),
    float[4,4,3,3] b1 = normal(seed=4), float[4,4,3,3] b2 = normal(seed=5),
    float[6,4,3,3] c1 = normal(seed=6), float[6,4,1,1] short = normal(seed=7),
    float[6,5] head = normal(seed=8) >
  { s = Conv<pads=[1,1,1,1]>(x, stem) s0 = Relu(s)
    p = Conv<pads=[1,1,1,1]>(s0, a1) pr = Relu(p) pq = Conv<pads=[1,1,1,1]>(pr, a2)
    ["first"] sp = Add(pq, s0) s1 = Relu(sp)
    q = Conv<pads=[1,1,1,1]>(s1, b1) qr = Relu(q) qq = Conv<pads=[1,1,1,1]>(qr, b2)
    ["second"] sq = Add(s1, qq) s2 = Relu(sq)
    u = Conv<pads=[1,1,1,1]>(s2, c1) v = Conv(s2, short)
    ["wider"] sw = Add(u, v)
    g = GlobalAveragePool(sw) f = Flatten(g) y = Gemm(f, head) }`;

/** Two layers of a post-norm transformer without heads: attention and feed-forward branches. */
const layer = (at: number, from: string, to: string) => `
    q${at} = MatMul(${from}, q) k${at} = MatMul(${from}, k) v${at} = MatMul(${from}, v)
    t${at} = Transpose<perm=[0,2,1]>(k${at}) a${at} = MatMul(q${at}, t${at}) m${at} = Add(a${at}, mask)
    p${at} = Softmax<axis=2>(m${at}) c${at} = MatMul(p${at}, v${at}) o${at} = MatMul(c${at}, o)
    ["attention${at}"] r${at} = Add(${from}, o${at}) n${at} = LayerNormalization(r${at}, one)
    h${at} = MatMul(n${at}, up) i${at} = Relu(h${at}) j${at} = MatMul(i${at}, down)
    ["feed${at}"] ${to}s = Add(j${at}, n${at}) ${to} = LayerNormalization(${to}s, one)`;
const transformer = `main (float[1,T,8] x) => (float[1,T,8] y)
  < float[8,8] q = normal(seed=1), float[8,8] k = normal(seed=2), float[8,8] v = normal(seed=3),
    float[8,8] o = normal(seed=4), float[8,16] up = normal(seed=5), float[16,8] down = normal(seed=6),
    float[8] one = {1, 1, 1, 1, 1, 1, 1, 1}, float mask = {-1} >
  { ${layer(0, 'x', 'z')} ${layer(1, 'z', 'y')} }`.replace('float mask', 'float[1] mask');

function samplesOf(dims: readonly number[], count = 3) {
  return async function* (): AsyncGenerator<Feeds> {
    for (let seed = 0; seed < count; seed++) {
      yield randomFeeds([{ name: 'x', dataType: 'float', dims }], { seed });
    }
  };
}
const images = samplesOf([1, 3, 8, 8]);
const texts = samplesOf([1, 6, 8]);

/** Writes a smaller weight. */
async function scale(model: Model, name: string, factor: number): Promise<void> {
  const value = model.graph.value(name);
  const floats = (await value.constant!.floats()).map((x) => x * factor);
  value.initializer = Tensor.of('float', value.constant!.dims, floats);
}

/** Largest difference as a share of the largest value. */
function peakError(expected: Float32Array, found: Float32Array): number {
  let [peak, worst] = [0, 0];
  expected.forEach((x, at) => {
    peak = Math.max(peak, Math.abs(x));
    worst = Math.max(worst, Math.abs(x - found[at]!));
  });
  return worst / peak;
}

describe('depth', () => {
  test.each(['influence', 'removal'] as const)(
    'by %s the faint block leaves, and what is left is the model with its weights at zero',
    async (criterion) => {
      const model = parseModel(resnet);
      await scale(model, 'b2', 0.01);
      const before = cloneModel(model);
      const context = { engine, samples: images };
      const options = { blocks: 1, criterion };
      const { model: pruned, report } = await applyPass(model, depth, options, context);
      expect(await differenceOf(model, before)).toBeUndefined();
      expect(report.changed.map(({ node }) => node)).toEqual(['second']);
      expect(report.changed[0]!.what).toContain('4 nodes in 1 branch');
      expect(report.notes[0]).toContain('proved');
      expect(opsOf(pruned)).toMatchObject({ Conv: 5, Add: 2 });
      expect(pruned.graph.find('b1')).toBeUndefined();
      // By hand: the last layer of the block is all zero, without a bias.
      await scale(model, 'b2', 0);
      for await (const feeds of images()) {
        const expected = await firstOutput(engine, model, feeds);
        expect(peakError(expected, await firstOutput(engine, pruned, feeds))).toBeLessThan(1e-5);
      }
    },
  );

  test('a sum that changes the width is no block, so two of two leave', async () => {
    const options = { blocks: 3 };
    const { report } = await applyPass(parseModel(resnet), depth, options, {
      engine,
      samples: images,
    });
    expect(report.changed.map(({ node }) => node).sort()).toEqual(['first', 'second']);
    expect(report.notes.at(-1)).toBe('2 of 2 layers removed, 3 asked for');
  });

  test('layers are the period of the stream, branches stand by themselves', async () => {
    const model = parseModel(transformer);
    const context = { engine, samples: texts };
    const layers = await applyPass(model, depth, { ratio: 0.5 }, context);
    expect(layers.report.notes.at(-1)).toBe('1 of 2 layers removed, 1 asked for');
    expect(opsOf(layers.model)).toMatchObject({ Softmax: 1, Relu: 1, LayerNormalization: 4 });
    const branches = await applyPass(model, depth, { ratio: 0.5, unit: 'branch' }, context);
    expect(branches.report.notes.at(-1)).toBe('2 of 4 branches removed, 2 asked for');
  });

  test('nodes that others need make a sum no block; patterns keep blocks in', async () => {
    const leaky = parseModel(
      resnet.replace(
        'f = Flatten(g)',
        'w = ReduceMax<keepdims=0>(qr) fg = Flatten(g) f = Add(fg, w)',
      ),
    );
    const context = { engine, samples: images };
    const { report } = await applyPass(leaky, depth, { blocks: 2 }, context);
    expect(report.changed.map(({ node }) => node)).toEqual(['first']);
    expect(report.skipped).toEqual([
      {
        node: 'second',
        op: 'Add',
        reason: expect.stringContaining('its branch is used elsewhere too: by ReduceMax'),
      },
    ]);
    const kept = await applyPass(
      parseModel(resnet),
      depth,
      { blocks: 2, exclude: ['first'] },
      context,
    );
    expect(kept.report.changed.map(({ node }) => node)).toEqual(['second']);
  });

  test('a block between the borders of the model: the output keeps its name', async () => {
    const model = parseModel(`main (float[1,4] x) => (float[1,4] y)
      < float[4,4] a = normal(seed=1), float[4,4] b = normal(seed=2), float[4,4] s = normal(seed=3) >
      { w = MatMul(x, s) p = MatMul(w, a) r = Add(w, p) q = MatMul(r, b) y = Add(r, q) }`);
    const context = { engine, samples: samplesOf([1, 4]) };
    const { model: pruned } = await applyPass(model, depth, { blocks: 2 }, context);
    expect(opsOf(pruned)).toEqual({ MatMul: 1 });
    expect(pruned.graph.outputs.map(({ name }) => name)).toEqual(['y']);

    const bare = parseModel(`main (float[1,4] x) => (float[1,4] y)
      < float[4,4] a = normal(seed=1) > { p = MatMul(x, a) y = Add(x, p) }`);
    const { report } = await applyPass(bare, depth, { blocks: 1 }, context);
    expect(report.skipped[0]!.reason).toBe('it joins a graph input to a graph output');
  });

  test('is a step of recipes and says what it needs', async () => {
    const recipe = [
      { pass: 'prune-depth', options: { blocks: 1 } },
      { pass: 'weight-only', options: { minElements: 0 } },
    ];
    const model = parseModel(resnet);
    const { reports } = await runRecipe(model, recipe, { engine, samples: images });
    expect(reports.map(({ changed }) => changed.length)).toEqual([1, 6]);
    await expect(applyPass(model, depth, { blocks: 1 }, { engine })).rejects.toThrow(
      'needs samples',
    );
    await expect(applyPass(model, depth, {}, { engine, samples: images })).rejects.toThrow(
      'either a ratio or a number',
    );
  });
});

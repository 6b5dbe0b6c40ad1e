import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Target } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import type { Model } from '../../graph/model.js';
import { runModel } from '../../testing/node-models.js';
import { integerOps, quantizeStatic } from '../../testing/node-static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const stem = (inputs: number, outputs: number, groups = 1, batch = '2') =>
  `main (float[${batch},${inputs},9,9] x) => (float[${batch},${outputs},5,5] y, float[${batch},${outputs},9,9] z)
   < float[${outputs},${inputs / groups},3,3] w = normal(seed=1, std=0.2),
     float[${outputs},${inputs / groups},1,1] v = normal(seed=2, std=0.2), float[${outputs}] b = normal(seed=3) >
   { [a] y = Conv<pads = [1,1,1,1], strides = [2,2], group = ${groups}>(x, w, b)
     [b] z = Conv<group = ${groups}>(x, v) }`;

const padsOf = (model: Model) => [...model.graph.nodes].filter(({ op }) => op === 'Pad');

/** The same passes, as a target without the fast kernel gets them. */
const elsewhere = (given: Engine): Engine =>
  new Proxy(given, {
    get(engine, key) {
      const value: unknown = Reflect.get(engine, key, engine);
      if (key === 'target') return 'wasm' satisfies Target;
      return typeof value === 'function' ? value.bind(engine) : value;
    },
  });

test.each([
  [3, 16],
  [1, 64],
  [6, 20],
])('%d input channels for %d outputs: the same bits as without', async (inputs, outputs) => {
  const { small, report, feeds } = await quantizeStatic(engine, stem(inputs, outputs));
  const plain = await quantizeStatic(engine, stem(inputs, outputs), {}, feeds, {
    engine: elsewhere(engine),
  });
  expect(padsOf(plain.small)).toHaveLength(0);
  // Both layers take one padded value.
  expect(padsOf(small)).toHaveLength(1);
  expect(report.notes.filter((note) => note.includes('padded to'))).toHaveLength(2);
  expect(await integerOps(engine, small)).toMatchObject({ QLinearConv: 2 });
  for (const optimization of ['disabled', 'all'] as const) {
    const expected = await runModel(engine, plain.small, feeds[0], optimization);
    const actual = await runModel(engine, small, feeds[0], optimization);
    for (const name of ['y', 'z']) {
      expect(actual.outputs[name]!.data).toEqual(expected.outputs[name]!.data);
    }
  }
});

test.each([
  ['channels that fit', 4, 16, 1, {}],
  ['too few outputs', 3, 8, 1, {}],
  ['groups', 6, 16, 2, {}],
  ['16-bit activations, which are computed in float', 3, 16, 1, { activations: 'uint16' as const }],
])('no Pad: %s', async (_name, inputs, outputs, groups, options) => {
  const { small } = await quantizeStatic(engine, stem(inputs, outputs, groups), options);
  expect(padsOf(small)).toHaveLength(0);
});

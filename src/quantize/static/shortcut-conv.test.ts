import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import { inferShapes } from '../../engine/shapes.js';
import { parseModel } from '../../graph/parse.js';
import { runModel } from '../../testing/node-models.js';
import { expectClose, integerOps, quantizeStatic } from '../../testing/node-static.js';
import { convolveShortcuts } from './shortcut-conv.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

interface Parts {
  readonly slice?: string;
  readonly steps?: string;
  readonly starts?: string;
  readonly pads?: string;
  readonly fill?: string;
  readonly mode?: string;
  readonly sum?: string;
  readonly y?: string;
}

/** A residual block whose shortcut has no weights. */
const block = ({
  slice = 'Slice(q, from, to, axes, steps)',
  steps = '2, 2',
  starts = '0, 0',
  pads = '0, 2, 0, 0, 0, 2, 0, 0',
  fill = '0',
  mode = 'constant',
  sum = 'Add(r, t)',
  y = '[N,8,5,4]',
}: Parts = {}) => `main (float[N,4,9,8] x) => (float${y} y)
  < float[4,4,3,3] aw = normal(seed=1, std=0.2), float[8,4,3,3] bw = normal(seed=2, std=0.2),
    float[8,8,1,1] cw = normal(seed=3, std=0.3), int64[2] from = {${starts}},
    int64[2] to = {9223372036854775807, 8}, int64[2] axes = {2, -1}, int64[2] steps = {${steps}},
    int64[8] pads = {${pads}}, float fill = {${fill}} >
  { [a] p = Conv<pads = [1,1,1,1]>(x, aw) q = Relu(p) [b] r = Conv<pads = [1,1,1,1], strides = [2,2]>(q, bw)
    [slice] s = ${slice} [pad] t = Pad<mode = "${mode}">(s, pads, fill)
    [add] u = ${sum} v = Relu(u) [c] y = Conv(v, cw) }`;

const rewritten = async (text: string) => {
  const model = parseModel(text);
  await inferShapes(engine, model);
  return { model, found: await convolveShortcuts(model, () => false) };
};

test('the same numbers, exactly', async () => {
  const before = parseModel(block());
  const { model, found } = await rewritten(block());
  expect(found.map(({ conv, slice }) => [conv.op, conv.label, slice.label])).toEqual([
    ['Conv', 'pad', 'slice'],
  ]);
  const { feeds, outputs } = await runModel(engine, before, undefined, 'disabled');
  const after = await runModel(engine, model, feeds, 'disabled');
  expect(after.outputs.y!.data).toEqual(outputs.y!.data);
});

test('the residual sum stays in integers', async () => {
  const { model, small, report, feeds } = await quantizeStatic(engine, block());
  expect(await integerOps(engine, small)).toEqual({ QLinearConv: 4, QLinearAdd: 1 });
  expect(report.changed.map(({ node }) => node)).toEqual(
    expect.arrayContaining(['slice', 'pad', 'add']),
  );
  await expectClose(engine, model, small, feeds[0]!, 25);
});

test('nodes that the caller excludes stay', async () => {
  for (const node of ['slice', 'pad']) {
    const { small } = await quantizeStatic(engine, block(), { exclude: [node] });
    expect([...small.graph.nodes].map(({ op }) => op)).toEqual(
      expect.arrayContaining(['Slice', 'Pad']),
    );
  }
});

describe('left alone', () => {
  test('none of these, so that the others mean something', async () => {
    const text = block({ sum: 'Identity(t)', y: '[N,O,H,W]' });
    expect((await rewritten(text)).found).toHaveLength(1);
  });

  test.each<[string, Parts]>([
    ['a Slice that begins later', { starts: '1, 0' }],
    ['a Slice that goes back', { steps: '2, -2', starts: '0, 7' }],
    ['a Pad in space', { pads: '0, 2, 0, 0, 0, 2, 0, 1' }],
    ['a Pad with another number', { fill: '1' }],
    ['a Pad that cuts', { pads: '0, 5, 0, 0, 0, -1, 0, 0' }],
    ['a Pad that repeats the border', { mode: 'edge' }],
    ['no Slice', { slice: 'MaxPool<kernel_shape = [1,1], strides = [2,2]>(q)' }],
  ])('%s', async (_name, parts) => {
    // Without the sum, whose shapes some of them would not fit.
    const text = block({ ...parts, sum: 'Identity(t)', y: '[N,O,H,W]' });
    expect((await rewritten(text)).found).toEqual([]);
  });
});

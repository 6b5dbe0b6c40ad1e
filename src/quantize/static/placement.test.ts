import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Target } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import { inferShapes } from '../../engine/shapes.js';
import { parseModel } from '../../graph/parse.js';
import { expectClose, integerOps, quantizeStatic } from '../../testing/node-static.js';
import { fasterInFloat } from './placement.js';
import { planStatic } from './plan.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const weight = (name: string, dims: string, outputs: number) =>
  `float${dims} ${name}w = normal(seed=${name.charCodeAt(0)}, std=0.2),
   float[${outputs}] ${name}b = normal(seed=${name.charCodeAt(0) + 1}, std=0.1)`;

/** A narrow stem with a depthwise layer on large maps, and wide dense layers on small ones. */
const mobile = (batch = '1') => `main (float[${batch},3,96,96] x) => (float[${batch},64,12,12] y)
  < ${weight('a', '[8,3,3,3]', 8)}, ${weight('b', '[8,1,3,3]', 8)}, ${weight('c', '[64,8,3,3]', 64)},
    ${weight('d', '[64,64,3,3]', 64)}, ${weight('e', '[64,64,3,3]', 64)} >
  { [a] p = Conv<pads = [1,1,1,1], strides = [2,2]>(x, aw, ab) [r] q = Relu(p)
    [b] s = Conv<pads = [1,1,1,1], group = 8>(q, bw, bb)
    [pool] t = MaxPool<kernel_shape = [4,4], strides = [4,4]>(s)
    [c] u = Conv<pads = [1,1,1,1]>(t, cw, cb) [d] v = Conv<pads = [1,1,1,1]>(u, dw, db)
    [e] y = Conv<pads = [1,1,1,1]>(v, ew, eb) }`;

async function floatNodes(text: string, target: Target): Promise<string[]> {
  const model = parseModel(text);
  await inferShapes(engine, model);
  const plan = await planStatic(model, {
    allowed: () => undefined,
    standing: new Set(),
    format: 'qdq',
  });
  return [...fasterInFloat(model, plan, target)].map(({ name }) => name);
}

describe('what stays float', () => {
  test('narrow and depthwise layers on large maps, and the pool behind them', async () => {
    expect(await floatNodes(mobile(), 'node')).toEqual(['a', 'b', 'pool']);
  });

  test('the same where the batch is open', async () => {
    expect(await floatNodes(mobile('N'), 'node')).toEqual(['a', 'b', 'pool']);
  });

  test('depends on the target: depthwise layers on wasm, nothing where nothing is known', async () => {
    const wide = `main (float[1,64,28,28] x) => (float[1,64,28,28] y)
      < ${weight('a', '[64,64,3,3]', 64)}, ${weight('b', '[64,1,3,3]', 64)}, ${weight('c', '[64,64,3,3]', 64)} >
      { [a] p = Conv<pads = [1,1,1,1]>(x, aw, ab) [b] q = Conv<pads = [1,1,1,1], group = 64>(p, bw, bb)
        [c] y = Conv<pads = [1,1,1,1]>(q, cw, cb) }`;
    expect(await floatNodes(wide, 'node')).toEqual([]);
    expect(await floatNodes(wide, 'wasm')).toEqual(['b']);
    expect(await floatNodes(mobile(), 'webgpu')).toEqual([]);
  });

  test('nothing where a size is unknown, or the network is so small that the call is all', async () => {
    expect(await floatNodes(mobile().replaceAll(/96,96|12,12/g, 'H,W'), 'node')).toEqual([]);
    const tiny = mobile().replaceAll('96', '8').replaceAll('12', '1');
    expect(await floatNodes(tiny, 'node')).toEqual([]);
  });
});

test('the scheme does it by default, names it, and the rest keeps its kernels', async () => {
  const { model, small, report, feeds } = await quantizeStatic(engine, mobile(), {
    placement: 'fast',
  });
  const reason = 'float is faster here by estimate (option placement)';
  const float = report.skipped.filter((skip) => skip.reason === reason);
  expect(float.map(({ node }) => node).sort()).toEqual(['a', 'b', 'pool']);
  expect((await integerOps(engine, small)).QLinearConv).toBe(3);
  await expectClose(engine, model, small, feeds[0]!, 20);
  const everywhere = await quantizeStatic(engine, mobile(), { placement: 'all' }, feeds);
  expect((await integerOps(engine, everywhere.small)).QLinearConv).toBe(5);
});

test('a pool of bytes is never left behind float, where its kernel is slow', async () => {
  const { report } = await quantizeStatic(
    engine,
    `main (float[1,4,8,8] x) => (float[1,4,8,8] y, float[1,4,8,8] z)
     < ${weight('a', '[4,4,3,3]', 4)}, ${weight('b', '[4,4,3,3]', 4)} >
     { [a] y = Conv<pads = [1,1,1,1]>(x, aw, ab) [pool] p = MaxPool<kernel_shape = [1,1]>(x)
       [b] z = Conv<pads = [1,1,1,1]>(p, bw, bb) }`,
  );
  expect(report.skipped).toEqual([
    { node: 'pool', op: 'MaxPool', reason: 'MaxPool is slow in integers behind float' },
  ]);
});

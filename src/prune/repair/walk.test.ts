import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, HostTensor } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { cloneModel } from '../../graph/clone.js';
import { parseModel } from '../../graph/parse.js';
import { Tensor } from '../../onnx/tensor.js';
import { runModel } from '../../testing/node-models.js';
import { LevelWalk } from './walk.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine();
});
afterAll(() => engine.close());

// b is read by both levels behind it, and by a subgraph.
const model = parseModel(`main (float[n,2] x, bool c) => (float[n,2] y)
  <float[2,2] w1 = {1, 2, -3, 4}, float[2,2] w2 = {2, 0, 1, -1}>
  { a = MatMul(x, w1)  b = Relu(a)  m = MatMul(b, w2)  s = Add(m, b)
    y = If(c) <then_branch = yes () => (t) { t = Add(s, b) },
               else_branch = no () => (e) { e = Sub(s, b) }> }`);
const starts = new Map([
  ['a', 1],
  ['m', 2],
]);
const bytesOf = (name: string) => (['a', 'b', 'm', 's'].includes(name) ? 8 : undefined);

// Another number of rows in each sample.
const feeds = [
  [[1, 2]],
  [
    [-1, 0.5],
    [3, 1],
  ],
].map((rows) => ({
  x: hostTensor('float', [rows.length, 2], Float32Array.from(rows.flat())),
  c: hostTensor('bool', [], Uint8Array.of(1)),
}));

async function collect(walk: LevelWalk, level: number, wanted: string) {
  const run = await walk.open(level, new Set([wanted]));
  const found: number[][] = [];
  for (const each of feeds) {
    found.push([...((await run.values(each))[wanted] as HostTensor).data].map(Number));
    run.free();
  }
  await run.release();
  return found;
}

async function expected(of: typeof model, wanted: string) {
  const probe = cloneModel(of);
  if (wanted !== 'y') probe.graph.outputs.push(probe.graph.value(wanted));
  const found: number[][] = [];
  for (const each of feeds) {
    found.push([...(await runModel(engine, probe, each)).outputs[wanted]!.data].map(Number));
  }
  return found;
}

describe('LevelWalk', () => {
  it('gives what the whole model gives, level by level and ahead', async () => {
    const ahead = new Map([
      [1, new Set(['b'])],
      [2, new Set(['s'])],
      [3, new Set(['y'])],
    ]);
    for (const more of [{}, { ahead }]) {
      const walk = new LevelWalk(model, { engine, sampleCount: 2, starts, bytesOf, ...more });
      expect(await collect(walk, 1, 'b')).toEqual(await expected(model, 'b'));
      expect(await collect(walk, 2, 's')).toEqual(await expected(model, 's'));
      expect(await collect(walk, 2, 'y')).toEqual(await expected(model, 'y'));
    }
    expect([...feeds[1]!.x.data]).toEqual([-1, 0.5, 3, 1]);
  });

  it('sees what changed behind the level that it is at', async () => {
    const changing = cloneModel(model);
    const walk = new LevelWalk(changing, { engine, sampleCount: 2, starts, bytesOf });
    await collect(walk, 0, 'x');
    changing.graph.value('w1').initializer = Tensor.of('float', [2, 2], [1, 1, 1, 1]);
    expect(await collect(walk, 1, 'b')).toEqual(await expected(changing, 'b'));
    changing.graph.value('w2').initializer = Tensor.of('float', [2, 2], [0, 1, 2, 3]);
    expect(await collect(walk, 2, 'y')).toEqual(await expected(changing, 'y'));
    expect(await expected(changing, 'y')).not.toEqual(await expected(model, 'y'));
  });

  it('goes on from the samples where values are too large to be kept', async () => {
    const walk = new LevelWalk(model, {
      engine,
      sampleCount: 1e9,
      starts,
      bytesOf,
      ahead: new Map([[2, new Set(['s'])]]),
    });
    expect(await collect(walk, 1, 'b')).toEqual(await expected(model, 'b'));
    expect(await collect(walk, 2, 's')).toEqual(await expected(model, 's'));
  });
});

/** The channels of a student that is narrower are found among those of its teacher. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { inferShapes } from '../engine/shapes.js';
import { Emitter } from '../graph/emitter.js';
import { Model } from '../graph/model.js';
import { tensorType } from '../graph/value-type.js';
import { createRandom } from '../random.js';
import { matchChannels } from './match-channels.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const random = createRandom(5);
const filters = Array.from({ length: 6 }, () =>
  Array.from({ length: 2 * 9 }, () => random.next() - 0.5),
);

/** A convolution of some of the filters, and the same along the last axis. */
async function network(kept: readonly number[], changed = 0): Promise<Model> {
  const model = new Model({ opsets: [['', 21]], irVersion: 10 });
  const { graph } = model;
  const e = new Emitter(graph);
  const x = graph.addInput('x', tensorType('float', ['N', 2, 6, 5]));
  const weight = kept.flatMap((at) => filters[at]!.map((each, i) => each + changed * Math.sin(i)));
  const w = e.constant('float', [kept.length, 2, 3, 3], weight);
  const node = graph.addNode({ opType: 'Conv', inputs: [x, w], outputs: ['h'], attributes: {} });
  const turned = graph.addNode({
    opType: 'Transpose',
    inputs: [node.output()],
    outputs: ['last'],
    attributes: { perm: [0, 2, 3, 1] },
  });
  graph.outputs.push(turned.output());
  await inferShapes(engine, model);
  return model;
}

const feeds = [1, 2].map((seed) =>
  randomFeeds([{ name: 'x', dataType: 'float', dims: [8, 2, 6, 5] }], { seed }),
);
const values = [
  { name: 'h', axis: 1 },
  { name: 'last', axis: 3 },
];

test.each([
  [[0, 2, 5], 0],
  [[4, 1, 3, 0], 0.05],
])('%j of six, weights moved by %d', async (kept, changed) => {
  const student = await network(kept, changed);
  const teacher = await network([0, 1, 2, 3, 4, 5]);
  const found = await matchChannels(student, teacher, values, feeds, engine);
  for (const { name } of values) {
    expect(found.get(name)!.channels).toEqual(kept);
    expect(found.get(name)!.correlation).toBeGreaterThan(changed ? 0.9 : 0.9999);
  }
});

test('no channel of the teacher is given twice', async () => {
  const student = await network([1, 1, 1]);
  const teacher = await network([0, 1, 2, 3, 4, 5]);
  const { channels, correlation } = (
    await matchChannels(student, teacher, values, feeds, engine)
  ).get('h')!;
  expect(new Set(channels).size).toBe(3);
  expect(channels).toContain(1);
  expect(correlation).toBeLessThan(0.9);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { randomFeeds } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { Emitter } from '../graph/emitter.js';
import { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { createRandom, type Random } from '../random.js';
import { checkGradients } from '../testing/node-gradients.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** All values are [2, 3, 4], so that any can meet any; smooth, so that differences are exact. */
type Step = (e: Emitter, pick: () => Value, input: (dims: number[]) => Value) => Value;

const steps: readonly Step[] = [
  (e, pick) => e.op('Tanh', [pick()]),
  (e, pick) => e.op('Sigmoid', [pick()]),
  (e, pick) => e.op('Softplus', [pick()]),
  (e, pick) => e.op('Gelu', [pick()]),
  (e, pick) => e.add(pick(), pick()),
  (e, pick) => e.mul(pick(), e.op('Tanh', [pick()])),
  (e, pick) => e.sub(pick(), e.mul(pick(), 0.5)),
  (e, pick) => e.div(pick(), e.add(e.square(pick()), 1)),
  (e, pick, input) => e.op('MatMul', [pick(), input([4, 4])]),
  (e, pick) => e.op('MatMul', [e.op('MatMul', [pick(), e.transpose(pick(), [0, 2, 1])]), pick()]),
  (e, pick) => e.op('Softmax', [pick()], { axis: 1 }),
  (e, pick, input) => e.op('LayerNormalization', [pick(), input([4]), input([4])], { axis: -1 }),
  (e, pick, input) => e.op('Conv', [pick(), input([3, 3, 3])], { pads: [1, 1] }),
  (e, pick, input) => e.add(pick(), input([3, 1])),
  (e, pick) => e.mul(pick(), e.reduce('ReduceMean', pick(), [1])),
  (e, pick) => e.sub(pick(), e.reduce('ReduceLogSumExp', pick(), [-1])),
  (e, pick) => e.slice(e.concat([pick(), pick()], 1), [1], [6], [1], [2]),
  (e, pick) => e.reshape(e.transpose(e.reshape(pick(), [2, 4, 3]), [0, 2, 1]), [2, 3, 4]),
  (e, pick) => e.op('Gather', [pick(), e.ints(2, 0, 2)], { axis: 1 }),
  (e, pick) => e.op('AveragePool', [pick()], { kernel_shape: [3], pads: [1, 1] }),
];

function randomModel(random: Random): Model {
  const model = new Model({ opsets: [['', 20]], irVersion: 10 });
  const { graph } = model;
  const e = new Emitter(graph, { scope: 'random' });
  const input = (dims: number[]) =>
    graph.addInput(graph.freshName('input'), tensorType('float', dims));
  const values = [input([2, 3, 4]), input([2, 3, 4])];
  for (let i = 0; i < 8; i++) {
    const step = steps[random.int(steps.length)]!;
    // Recent values are likelier, so that graphs are deep.
    const pick = () => values[Math.max(random.int(values.length), random.int(values.length))]!;
    values.push(step(e, pick, input));
  }
  graph.outputs.push(values.at(-1)!);
  return model;
}

test.each(Array.from({ length: 40 }, (_, seed) => [seed] as const))('seed %i', async (seed) => {
  const model = randomModel(createRandom(100 + seed));
  const ports = model.graph.inputs.map(({ name, dims }) => ({
    name,
    dataType: 'float' as const,
    dims: dims as number[],
  }));
  const feeds = randomFeeds(ports, { seed });
  const wanted = ports.map(({ name }) => name);
  const { worst } = await checkGradients(engine, model, { feeds, wanted, elements: 3, seed });
  expect(worst).toBeLessThan(1e-3);
});

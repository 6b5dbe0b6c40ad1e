/** Weights that are updated as one vector become what each becomes by itself. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of, hostTensor, randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { Emitter } from '../graph/emitter.js';
import { Model } from '../graph/model.js';
import { tensorType } from '../graph/value-type.js';
import { optimizerNamed, optimizerOptions } from './optimizers/index.js';
import { slotDims, type Update, updateAll } from './update.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const weights = {
  bias: { dims: [3], magnitude: 0.2, weightDecay: 0 },
  point: { dims: [3, 2, 1, 1], magnitude: 3, weightDecay: 0.1 },
  matrix: { dims: [2, 4], magnitude: 0.5, weightDecay: 0.1 },
  large: { dims: [3, 300, 100], magnitude: 0.1, weightDecay: 0.1 },
  'large point': { dims: [300, 300, 1, 1], magnitude: 0.1, weightDecay: 0.1 },
};
const perChannel = { dims: [3, 1, 1, 1], data: [0.5, 2, 0] };
const perColumn = { dims: [4], data: [1, 3, 0.1, 0.2] };

test.each([
  ['sgd', {}],
  ['adam', {}],
  ['adam', { relative: false }],
  ['adamw', {}],
  ['adamw', { rates: true }],
  ['sgd', { rates: true }],
  ['muon', {}],
  ['muon', { rates: true }],
])('%s %o', async (name, { rates = false, ...given }: { rates?: boolean; relative?: boolean }) => {
  const options = optimizerOptions.parse({ optimizer: name, ...given });
  const optimizer = optimizerNamed(name);
  const model = new Model({ opsets: [['', 18]] });
  const { graph } = model;
  const input = (label: string, dims: number[]) => graph.addInput(label, tensorType('float', dims));
  const emitter = new Emitter(graph);
  const common = { emitter, learningRate: input('lr', []), step: input('step', []), options };
  const factors = (each: { dims: number[]; data: number[] }) =>
    rates ? hostTensor('float', each.dims, Float32Array.from(each.data)) : undefined;
  const updates = Object.entries(weights).map(([label, own]): Update => {
    const slots = optimizer
      .slots(options, { dims: own.dims, isSparse: name === 'muon' })
      .map((slot) => [slot, input(`${slot}/${label}`, [...slotDims(own.dims)])]);
    const rate = { point: perChannel, matrix: perColumn }[label];
    return {
      ...own,
      name: label,
      weight: input(label, own.dims),
      gradient: input(`gradient/${label}`, own.dims),
      slots: Object.fromEntries(slots),
      rate: rate && factors(rate),
    };
  });
  const together = updateAll(updates, optimizer, common);
  const pairs: [string, string][] = [];
  for (const update of updates) {
    const alone = optimizer.update({
      ...common,
      weight: update.weight,
      gradient: update.gradient,
      state: Object.fromEntries(
        Object.entries(update.slots).map(([slot, value]) => [
          slot,
          emitter.reshape(value, update.dims),
        ]),
      ),
      dims: update.dims,
      weightDecay: update.weightDecay,
      magnitude: update.magnitude,
      ...(update.rate && {
        rate: emitter.constant(
          'float',
          update.rate.dims,
          Array.from(update.rate.data as Float32Array),
        ),
      }),
    });
    const joined = together.get(update.name)!;
    const both = [
      [joined.weight, alone.weight],
      ...Object.keys(update.slots).map((slot) => [joined.slots[slot]!, alone.state[slot]!]),
    ];
    for (const [one, other] of both) {
      graph.outputs.push(emitter.op('Identity', [one]), emitter.op('Neg', [other]));
      pairs.push([graph.outputs.at(-2)!.name, graph.outputs.at(-1)!.name]);
    }
  }
  const session = await engine.createSession(await modelSource(model));
  const random = randomFeeds(session.inputs, { seed: 2 });
  const feeds = Object.fromEntries(
    Object.entries(random).map(([label, tensor]) => [
      label,
      // Mean squares are not below zero.
      label.startsWith('square/')
        ? hostTensor('float', tensor.dims, float32Of(tensor).map(Math.abs))
        : tensor,
    ]),
  );
  feeds.lr = hostTensor('float', [], Float32Array.of(0.1));
  feeds.step = hostTensor('float', [], Float32Array.of(2));
  const results = await session.run(feeds);
  await session.release();
  expect(pairs.length).toBeGreaterThan(3);
  for (const [one, other] of pairs) {
    const [found, wanted] = [float32Of(results[one]!), float32Of(results[other]!)];
    expect(found.length).toBe(wanted.length);
    const worst = found.reduce(
      (all, number, at) => Math.max(all, Math.abs(number + wanted[at]!)),
      0,
    );
    expect(worst).toBeLessThan(1e-6);
  }
});

test('a weight that decays below the normal numbers becomes zero, NaN stays NaN', async () => {
  const model = new Model({ opsets: [['', 18]] });
  const { graph } = model;
  const input = (label: string, dims: number[]) => graph.addInput(label, tensorType('float', dims));
  const emitter = new Emitter(graph);
  const options = optimizerOptions.parse({ optimizer: 'sgd', momentum: 0 });
  const update = {
    ...{ name: 'w', dims: [5, 1], slots: {}, weightDecay: 0.5, magnitude: 1 },
    ...{ weight: input('w', [5, 1]), gradient: input('g', [5, 1]) },
  };
  const common = { emitter, learningRate: input('lr', []), step: input('step', []), options };
  const { weight } = updateAll([update], optimizerNamed('sgd'), common).get('w')!;
  graph.outputs.push(weight);
  const session = await engine.createSession(await modelSource(model));
  const numbers = (dims: number[], ...values: number[]) =>
    hostTensor('float', dims, Float32Array.from(values));
  const results = await session.run({
    w: numbers([5, 1], 2e-38, -2e-38, 4e-38, 1, 1),
    g: numbers([5, 1], 0, 0, 0, 0, Number.NaN),
    lr: numbers([], 1),
    ...(session.inputs.some(({ name }) => name === 'step') && { step: numbers([], 1) }),
  });
  await session.release();
  const [first, second, normal, one, broken] = float32Of(results[weight.name]!);
  expect([first, second, one, broken]).toEqual([0, 0, 0.5, Number.NaN]);
  expect(normal).toBeCloseTo(2e-38, 43);
  expect(normal).toBeGreaterThan(1.9e-38);
});

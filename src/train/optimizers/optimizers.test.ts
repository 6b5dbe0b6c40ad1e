/**
 * Each optimizer against its formulas in double precision, over several steps on the runtime.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, HostTensor } from '../../engine/engine.js';
import { hostTensor } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { createNodeEngine } from '../../engine/node.js';
import { Emitter } from '../../graph/emitter.js';
import { Model } from '../../graph/model.js';
import { tensorType } from '../../graph/value-type.js';
import { type OptimizerOptions, optimizerNamed, optimizerOptions } from './index.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const start = [1, -2, 0.5];
const gradients = [
  [0.1, -0.2, 3],
  [-0.3, 0, 1],
  [0.2, 0.1, -2],
  [0, -0.4, 0.5],
];
const rates = [0.1, 0.05, 0.1, 0.02];
const magnitude = 0.3;

/** The weights after each step, by a one-weight step model. */
async function run(given: object): Promise<number[][]> {
  const options = optimizerOptions.parse(given);
  const optimizer = optimizerNamed(options.optimizer);
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const input = (name: string, dims: number[]) => graph.addInput(name, tensorType('float', dims));
  const slots = optimizer.slots(options, { dims: [3], isSparse: false });
  const { weight, state } = optimizer.update({
    emitter: new Emitter(graph),
    weight: input('weight', [3]),
    gradient: input('gradient', [3]),
    state: Object.fromEntries(slots.map((slot) => [slot, input(slot, [3])])),
    learningRate: input('rate', []),
    step: input('step', []),
    weightDecay: options.weightDecay,
    magnitude,
    options,
  });
  graph.outputs.push(weight, ...Object.values(state));
  const session = await engine.createSession(await modelSource(model));
  const floats = (dims: number[], data: number[]) =>
    hostTensor('float', dims, Float32Array.from(data));
  let feeds: Record<string, HostTensor> = { weight: floats([3], start) };
  for (const slot of slots) feeds[slot] = floats([3], [0, 0, 0]);
  const all: number[][] = [];
  // A value that is an input too (an optimizer that ignores one) is no feed of the session.
  const known = new Set(session.inputs.map(({ name }) => name));
  for (const [at, gradient] of gradients.entries()) {
    const scalars = { rate: floats([], [rates[at]!]), step: floats([], [at + 1]) };
    const wanted = { ...feeds, gradient: floats([3], gradient), ...scalars };
    const fed = Object.fromEntries(Object.entries(wanted).filter(([name]) => known.has(name)));
    const outputs = await session.run(fed);
    feeds = { weight: outputs[weight.name]! };
    for (const [slot, value] of Object.entries(state)) feeds[slot] = outputs[value.name]!;
    all.push([...(feeds.weight!.data as Float32Array)]);
  }
  await session.release();
  return all;
}

/** The same by the papers' formulas, one number at a time. */
function expected(given: object, step: (o: OptimizerOptions, s: Scalar) => void): number[][] {
  const options = optimizerOptions.parse(given);
  const scalars = start.map((w) => ({ w, g: 0, rate: 0, t: 0, v: 0, m: 0, s: 0 }));
  return gradients.map((gradient, at) =>
    scalars.map((scalar, i) => {
      Object.assign(scalar, { g: gradient[i]!, rate: rates[at]!, t: at + 1 });
      step(options, scalar);
      return scalar.w;
    }),
  );
}

interface Scalar {
  w: number;
  g: number;
  rate: number;
  t: number;
  v: number;
  m: number;
  s: number;
}

function close(actual: number[][], wanted: number[][]) {
  for (const [at, row] of wanted.entries()) {
    for (const [i, value] of row.entries()) expect(actual[at]![i]).toBeCloseTo(value, 5);
  }
}

const momentumStep = (nesterov: boolean) => (o: OptimizerOptions, x: Scalar) => {
  const g = x.g + o.weightDecay * x.w;
  x.v = o.momentum * x.v + g;
  x.w -= x.rate * (nesterov ? g + o.momentum * x.v : x.v);
};

const adamStep = (decoupled: boolean) => (o: OptimizerOptions, x: Scalar) => {
  if (decoupled) x.w -= x.rate * o.weightDecay * x.w;
  const g = decoupled ? x.g : x.g + o.weightDecay * x.w;
  x.m = o.beta1 * x.m + (1 - o.beta1) * g;
  x.s = o.beta2 * x.s + (1 - o.beta2) * g * g;
  const mean = x.m / (1 - o.beta1 ** x.t);
  const square = x.s / (1 - o.beta2 ** x.t);
  const length = x.rate * (o.relative ? magnitude : 1);
  x.w -= (length * mean) / (Math.sqrt(square) + o.epsilon);
};

describe('sgd', () => {
  test('without momentum keeps no state', async () => {
    const given = { optimizer: 'sgd', momentum: 0, weightDecay: 0 };
    close(
      await run(given),
      expected(given, (_, x) => void (x.w -= x.rate * x.g)),
    );
  });

  test.each([true, false])('with momentum and weight decay, nesterov %s', async (nesterov) => {
    const given = { optimizer: 'sgd', momentum: 0.9, nesterov, weightDecay: 0.1 };
    close(await run(given), expected(given, momentumStep(nesterov)));
  });
});

test.each([
  ['adam', false, false],
  ['adam', false, true],
  ['adamw', true, false],
  ['adamw', true, true],
])(
  '%s with its bias corrections and weight decay (decoupled: %s, relative: %s)',
  async (optimizer, decoupled, relative) => {
    const given = { optimizer, weightDecay: 0.1, beta1: 0.8, beta2: 0.95, relative };
    close(await run(given), expected(given, adamStep(decoupled)));
  },
);

test('an unknown optimizer is refused with the known ones', () => {
  expect(() => optimizerNamed('lion')).toThrow(/no optimizer is named "lion"/);
});

/** Steps of one batch size compute what steps of any batch size do. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, HostTensor } from '../engine/engine.js';
import { float32Of, hostTensor, randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { optimizerOptions } from './optimizers/index.js';
import { buildStep, type StepOptions } from './step.js';
import { StepRunner } from './step-runner.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const numbers = (count: number) =>
  Array.from({ length: count }, (_, at) => (((at * 7919) % 31) / 31 - 0.5).toFixed(3)).join(',');

/** A depthwise convolution of small maps, pooling, and a product. */
const text = `
<ir_version: 9, opset_import: ["" : 18]>
net (float[batch,4,6,6] x) => (float[batch,3] y)
<float[4,1,3,3] w = {${numbers(36)}}, float[4] b = {0.1,-0.1,0.2,0}, float[36,3] v = {${numbers(108)}}, int64[2] flat = {0,-1}>
{
  c = Conv<group=4,pads=[1,1,1,1]>(x, w, b)
  r = Relu(c)
  p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(r)
  f = Reshape(p, flat)
  y = MatMul(f, v)
}`;

type Options = Partial<StepOptions> & { readonly optimizer?: undefined };

/** Loss and updated weights after one step of these samples. */
async function stepOnce(options: Options, feeds: Record<string, HostTensor>, source = text) {
  const step = await buildStep(
    parseModel(source),
    {
      losses: [{ loss: 'mse', output: 'y', target: 'target' }],
      ...options,
      optimizer: optimizerOptions.parse({ optimizer: 'sgd' }),
    },
    engine,
  );
  const session = await engine.createSession(await modelSource(step.model));
  const results = await session.run({
    ...feeds,
    ...Object.fromEntries(step.state),
    [step.learningRate]: hostTensor('float', [], Float32Array.of(0.1)),
    ...(session.inputs.some(({ name }) => name === step.step) && {
      [step.step]: hostTensor('float', [], Float32Array.of(1)),
    }),
  });
  await session.release();
  return {
    loss: float32Of(results[step.loss]!)[0]!,
    weights: Object.fromEntries(
      Array.from(step.results, ([weight, input]) => [
        weight,
        float32Of(results[step.next.get(input)!]!),
      ]),
    ),
    operators: [...step.model.graph.nodes].map(({ op }) => op),
  };
}

function samples(count: number, seed = 5): Record<string, HostTensor> {
  const ports = [
    { name: 'x', dataType: 'float', dims: [count, 4, 6, 6] },
    { name: 'target', dataType: 'float', dims: [count, 3] },
  ] as const;
  return randomFeeds(ports, { seed });
}

function expectClose(actual: Record<string, Float32Array>, wanted: Record<string, Float32Array>) {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(wanted).sort());
  for (const [name, numbers] of Object.entries(wanted)) {
    for (const [at, number] of numbers.entries()) {
      expect(Math.abs(actual[name]![at]! - number), `${name}[${at}]`).toBeLessThan(1e-6);
    }
  }
}

test('a step for one batch size takes products for small depthwise maps, with the same result', async () => {
  const feeds = samples(16);
  const open = await stepOnce({}, feeds);
  const fixed = await stepOnce({ batchSize: 16 }, feeds);
  expect(open.operators).toContain('Conv');
  expect(fixed.operators).not.toContain('Conv');
  expect(fixed.operators).not.toContain('Shape');
  expect(fixed.loss).toBeCloseTo(open.loss, 5);
  expectClose(fixed.weights, open.weights);
  // Patterns go by the nodes of the model, whatever they are written as.
  const frozen = await stepOnce({ batchSize: 16, freeze: ['op:Conv'] }, feeds);
  expect(Object.keys(frozen.weights)).toEqual(['v']);
});

/** A stem, depthwise convolutions with stride 1 and 2, points, and a sum. */
const separable = `
<ir_version: 9, opset_import: ["" : 18]>
net (float[batch,3,16,14] x) => (float[batch,4] y)
<float[4,3,3,3] ws = {${numbers(108)}}, float[4,1,3,3] wd = {${numbers(36)}},
 float[4,4,1,1] wp = {${numbers(16)}}, float[4] b = {0.1,-0.1,0.2,0}, int64[2] flat = {0,-1},
 float[4,1,3,3] wt = {${numbers(36)}}>
{
  s = Conv<pads=[0,0,1,1],strides=[2,2]>(x, ws, b)
  r = Relu(s)
  d = Conv<group=4,pads=[1,1,1,1]>(r, wd, b)
  p = Conv(d, wp)
  q = Relu(p)
  a = Add(q, r)
  t = Conv<group=4,pads=[1,1,1,1],strides=[2,2]>(a, wt)
  g = GlobalAveragePool(t)
  y = Reshape(g, flat)
}`;

test('a step for one batch size puts the batch last around depthwise convolutions, with the same result', async () => {
  const ports = [
    { name: 'x', dataType: 'float', dims: [16, 3, 16, 14] },
    { name: 'target', dataType: 'float', dims: [16, 4] },
  ] as const;
  const feeds = randomFeeds(ports, { seed: 9 });
  const losses = [
    { loss: 'mse', output: 'y', target: 'target' },
    { loss: 'mse', output: 'p', target: 'r' },
  ];
  const open = await stepOnce({ losses }, feeds, separable);
  const fixed = await stepOnce({ losses, batchSize: 16 }, feeds, separable);
  expect(open.operators).toContain('ConvTranspose');
  expect(fixed.operators).not.toContain('ConvTranspose');
  expect(fixed.loss).toBeCloseTo(open.loss, 5);
  expectClose(fixed.weights, open.weights);
});

test.each([
  ['sgd', 1e-6],
  ['adam', 1e-5],
])('%s: accumulated batches make the step of one large batch', async (name, tolerance) => {
  const optimizer = optimizerOptions.parse({ optimizer: name });
  const build = (more: object) =>
    buildStep(
      parseModel(text),
      {
        losses: [{ loss: 'mse', output: 'y', target: 'target' }],
        clipNorm: 0.01,
        optimizer,
        ...more,
      },
      engine,
    );
  const feeds = samples(48);
  const parts = [0, 1, 2].map((part) =>
    Object.fromEntries(
      Object.entries(feeds).map(([key, { dims, data }]) => {
        const size = data.length / 3;
        const rows = (data as Float32Array).slice(part * size, (part + 1) * size);
        return [key, hostTensor('float', [16, ...dims.slice(1)], rows)];
      }),
    ),
  );
  const whole = await StepRunner.open(await build({ batchSize: 48 }), engine);
  const split = await StepRunner.open(await build({ batchSize: 16, accumulate: 3 }), engine);
  for (let step = 0; step < 2; step++) {
    const [expected] = await whole.run([feeds], [0.1]);
    const [found] = await split.run(parts, [0.1]);
    expect(Math.abs(found! / expected! - 1)).toBeLessThan(1e-6);
  }
  for (const [key, { data }] of Object.entries(whole.state)) {
    const wanted = data as Float32Array;
    const found = split.state[key]!.data as Float32Array;
    const most = wanted.reduce((largest, number) => Math.max(largest, Math.abs(number)), 0);
    for (const [at, number] of wanted.entries()) {
      expect(Math.abs(found[at]! - number), `${key}[${at}]`).toBeLessThan(tolerance * most);
    }
  }
  await whole.release();
  await split.release();
});

test.each([1, 2])(
  'several steps in one call, of %s batches each, are those of several calls',
  async (batches) => {
    const build = () =>
      buildStep(
        parseModel(text),
        {
          losses: [{ loss: 'mse', output: 'y', target: 'target' }],
          optimizer: optimizerOptions.parse({ optimizer: 'adam' }),
          averaging: 0.5,
          batchSize: 16,
          accumulate: batches,
        },
        engine,
      );
    const groups = [1, 2, 3].map((seed) =>
      Array.from({ length: batches }, (_, at) => samples(16, seed + 10 * at)),
    );
    const rates = [0.1, 0.05, 0.02];
    const one = await StepRunner.open(await build(), engine);
    const many = await StepRunner.open(await build(), engine, true);
    const losses: number[] = [];
    for (const [at, group] of groups.entries())
      losses.push(...(await one.run(group, [rates[at]!])));
    const first = await many.run(groups[0]!, rates.slice(0, 1));
    const rest = await many.run(groups.slice(1).flat(), rates.slice(1));
    expect([...first, ...rest]).toEqual(losses);
    expect(many.steps).toBe(3);
    expect(many.state).toEqual(one.state);
    await one.release();
    await many.release();
  },
);

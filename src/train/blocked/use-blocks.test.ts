/** What is written in blocks computes what was there, on the runtime. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import type { Engine } from '../../engine/engine.js';
import { float32Of, randomFeeds } from '../../engine/host-tensor.js';
import { createNodeEngine } from '../../engine/node.js';
import { createWasmEngine } from '../../engine/node-wasm.js';
import { inferShapes } from '../../engine/shapes.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import { parseModel } from '../../graph/parse.js';
import { createRandom } from '../../random.js';
import { runModel } from '../../testing/node-models.js';
import { optimizerOptions } from '../optimizers/index.js';
import { buildStep } from '../step.js';
import { StepRunner } from '../step-runner.js';
import { findBlock } from './find-block.js';
import { useBlocks } from './use-blocks.js';

let engine: Engine;
let block: number | undefined;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  block = await findBlock(engine);
});
afterAll(() => engine.close());

/** The size of a block, where the runtime has blocks on this machine. */
function sizeOf({ skip }: TestContext): number {
  if (block === undefined) skip('the runtime has no blocked convolutions on this machine');
  return block!;
}

/** How often each operator occurs, with its domain. */
function opsOf({ graph }: Model): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

const opset = '<ir_version: 9, opset_import: ["" : 18]>';

function numbers(dims: readonly number[], seed: number): string {
  const random = createRandom(seed);
  const count = dims.reduce((product, dim) => product * dim, 1);
  return Array.from({ length: count }, () => (random.next() - 0.5).toFixed(3)).join(',');
}

const weight = (name: string, dims: readonly number[], seed: number) =>
  `float[${dims}] ${name} = {${numbers(dims, seed)}}`;

async function inBlocks(text: string, size: number) {
  const plain = parseModel(text);
  await inferShapes(engine, plain);
  const blocked = cloneModel(plain);
  useBlocks(blocked, size);
  const { feeds, outputs: expected } = await runModel(engine, plain);
  const { outputs } = await runModel(engine, blocked, feeds);
  for (const [name, tensor] of Object.entries(expected)) {
    const [a, b] = [float32Of(outputs[name]!), float32Of(tensor)];
    const largest = Math.max(...b.map(Math.abs));
    const error = Math.max(...a.map((number, at) => Math.abs(number - b[at]!)));
    expect(error, name).toBeLessThan(1e-5 * Math.max(1, largest));
  }
  return opsOf(blocked);
}

test('convolutions of all windows and forms', async (context) => {
  const size = sizeOf(context);
  const windows = fc.record({
    kernel: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 2 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    pads: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 4, maxLength: 4 }),
    form: fc.constantFrom('full', 'few', 'depthwise'),
    bias: fc.boolean(),
    relu: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(windows, async ({ kernel, stride, dilation, pads, form, bias, relu }) => {
      const width = 2 * size;
      const [channels, group] = { full: [width, 1], few: [3, 1], depthwise: [width, width] }[form]!;
      const w = weight('w', [width, channels! / group!, kernel, kernel], 1);
      const attributes = `group=${group},strides=[${stride},${stride}],dilations=[${dilation},${dilation}],pads=[${pads}]`;
      const ops = await inBlocks(
        `${opset} net (float[2,${channels},9,8] x) => (float[2,${width},h,v] y)
        <${w}, ${weight('b', [width], 2)}>
        { c = Conv<${attributes}>(x, w${bias ? ', b' : ''})
          y = ${relu ? 'Relu' : 'Neg'}(c) }`,
        size,
      );
      expect(ops.Conv, 'no plain convolution').toBeUndefined();
    }),
    { numRuns: 25 },
  );
});

test('element by element between convolutions everything stays in blocks', async (context) => {
  const size = sizeOf(context);
  const w = (name: string, seed: number) => weight(name, [size, size, 3, 3], seed);
  const ops = await inBlocks(
    `${opset} net (float[1,${size},6,6] x) => (float[1,${size},6,6] y)
    <${w('w', 1)}, ${w('v', 2)}, float zero = {0}>
    { a = Conv<pads=[1,1,1,1]>(x, w)
      r = Relu(a)
      c = Conv<pads=[1,1,1,1]>(r, v)
      s = Add(c, x)
      m = Greater(s, zero)
      f = Cast<to=1>(m)
      y = Mul(s, f) }`,
    size,
  );
  expect(ops['com.microsoft.nchwc:ReorderOutput']).toBe(1);
  // x, and both weights.
  expect(ops['com.microsoft.nchwc:ReorderInput']).toBe(3);
  expect(ops.Relu, 'the convolution does it').toBeUndefined();
});

test('what is read in both layouts, and widths that fill no block', async (context) => {
  const size = sizeOf(context);
  const odd = size + 4;
  await inBlocks(
    `${opset} net (float[2,${size},5,5] x) => (float[2,${odd},5,5] y, float[2,${size},1,1] p, float[2,${size},5,5] z)
    <${weight('w', [size, size, 1, 1], 1)}, ${weight('v', [odd, size, 3, 3], 2)}, ${weight('s', [size, 1, 1], 3)}>
    { a = Conv(x, w)
      y = Conv<pads=[1,1,1,1]>(a, v)
      p = GlobalAveragePool(a)
      scaled = Mul(a, s)
      positive = Greater(a, scaled)
      z = Where(positive, a, scaled) }`,
    size,
  );
});

test('a step in blocks learns what one without does, one at a time and several per call', async (context) => {
  const size = sizeOf(context);
  const student = () =>
    parseModel(`${opset} net (float[batch,3,8,8] x) => (float[batch,3] y)
    <${weight('u', [size, 3, 3, 3], 1)}, ${weight('w', [size, size, 3, 3], 2)}, ${weight('b', [size], 3)},
     ${weight('d', [size, 1, 3, 3], 4)}, ${weight('v', [size, 3], 5)}>
    { a = Conv<pads=[1,1,1,1]>(x, u)
      r = Relu(a)
      c = Conv<pads=[1,1,1,1],strides=[2,2]>(r, w, b)
      e = Conv<group=${size},pads=[1,1,1,1]>(c, d)
      s = Relu(e)
      p = GlobalAveragePool(s)
      f = Flatten(p)
      y = MatMul(f, v) }`);
  const build = (batchSize?: number) =>
    buildStep(
      student(),
      {
        losses: [{ loss: 'mse', output: 'y', target: 'target' }],
        optimizer: optimizerOptions.parse({ optimizer: 'sgd', relative: false }),
        batchSize,
      },
      engine,
    );
  const [plain, blocked] = await Promise.all([build(), build(4)]);
  expect(opsOf(blocked.model)['com.microsoft.nchwc:Conv']).toBeGreaterThan(2);
  const ports = [
    { name: 'x', dataType: 'float' as const, dims: [4, 3, 8, 8] },
    { name: 'target', dataType: 'float' as const, dims: [4, 3] },
  ];
  const batches = [1, 2, 3].map((seed) => randomFeeds(ports, { seed }));
  const rates = [0.05, 0.05, 0.05];
  const learn = async (step: typeof plain, several: boolean) => {
    const runner = await StepRunner.open(step, engine, several);
    const losses: number[] = [];
    if (several) losses.push(...(await runner.run(batches, rates)));
    else for (const batch of batches) losses.push(...(await runner.run([batch], [0.05])));
    const weights = [...step.results.values()].map((input) => float32Of(runner.state[input]!));
    await runner.release();
    return [Float32Array.from(losses), ...weights].map((each) => Array.from(each));
  };
  const expected = await learn(plain, false);
  for (const several of [false, true]) {
    const found = await learn(blocked, several);
    expect(found.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
    for (const [at, values] of found.entries()) {
      for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected[at]![i]!, 5);
    }
  }
});

test('WebAssembly has no blocks', async () => {
  const wasm = await createWasmEngine();
  try {
    expect(await findBlock(wasm)).toBeUndefined();
  } finally {
    await wasm.close();
  }
});

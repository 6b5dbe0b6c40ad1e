import { afterAll, beforeAll, expect, test } from 'vitest';
import { labelsOf, repeatableFeeds } from '../data/repeatable-feeds.js';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { parseModel } from '../graph/parse.js';
import { applyPass, passContext } from '../pass.js';
import { createRandom } from '../random.js';
import { openDigits } from '../testing/node-digits.js';
import { structured } from './structured.js';
import { weightGradients } from './weight-gradients.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const inputs = 4;
const hidden = 3;
const classes = 3;
const random = createRandom(5);
const numbers = (count: number) =>
  Array.from({ length: count }, () => Math.fround(random.normal()));
const w1 = numbers(inputs * hidden);
const w2 = numbers(hidden * classes);

const text = (end: string, type = 'float[1,3]', opset = 18) => `
<ir_version: 9, opset_import: ["" : ${opset}]>
net (float[1,4] x) => (${type} y)
<float[4,3] w1 = {${w1}}, float[3,3] w2 = {${w2}}>
{
  h = MatMul(x, w1)
  r = Relu(h)
  ${end}
}`;
const softmax = text('z = MatMul(r, w2)\n  y = Softmax(z)');

const feeds = Array.from({ length: 6 }, () => numbers(inputs));
async function* samples() {
  for (const x of feeds) yield { x: hostTensor('float', [1, inputs], Float32Array.from(x)) };
}

/** Mean and mean square of the slopes of -log softmax(...)[label] by w1 and w2. */
function reference(labels: readonly (number | undefined)[]) {
  const sums = [w1, w2].map((w) => ({ mean: w.map(() => 0), meanSquare: w.map(() => 0) }));
  for (const [sample, x] of feeds.entries()) {
    const h = Array.from({ length: hidden }, (_, j) =>
      x.reduce((sum, value, i) => sum + value * w1[i * hidden + j]!, 0),
    );
    const r = h.map((value) => Math.max(0, value));
    const z = Array.from({ length: classes }, (_, k) =>
      r.reduce((sum, value, j) => sum + value * w2[j * classes + k]!, 0),
    );
    const total = z.reduce((sum, value) => sum + Math.exp(value), 0);
    const label = labels[sample] ?? z.indexOf(Math.max(...z));
    const slope = z.map((value, k) => Math.exp(value) / total - (k === label ? 1 : 0));
    const back = h.map((value, j) =>
      value > 0 ? slope.reduce((sum, s, k) => sum + s * w2[j * classes + k]!, 0) : 0,
    );
    const slopes = [
      w1.map((_, at) => x[Math.floor(at / hidden)]! * back[at % hidden]!),
      w2.map((_, at) => r[Math.floor(at / classes)]! * slope[at % classes]!),
    ];
    for (const [which, all] of slopes.entries()) {
      for (const [at, g] of all.entries()) {
        sums[which]!.mean[at]! += g / feeds.length;
        sums[which]!.meanSquare[at]! += (g * g) / feeds.length;
      }
    }
  }
  return sums;
}

async function expectReference(
  labels: readonly (number | undefined)[],
  given: boolean,
  source = softmax,
) {
  const model = await parseModel(source);
  const before = [...model.graph.nodes].map(({ op }) => op);
  async function* own() {
    yield* labels;
  }
  const context = passContext({ engine, samples, ...(given && { labels: own }) });
  const found = await weightGradients(model, ['w1', 'w2'], context);
  for (const [at, name] of ['w1', 'w2'].entries()) {
    const expected = reference(labels)[at]!;
    for (const key of ['mean', 'meanSquare'] as const) {
      for (const [i, value] of expected[key].entries()) {
        expect(found.get(name)![key][i]).toBeCloseTo(value, 5);
      }
    }
  }
  expect([...model.graph.nodes].map(({ op }) => op)).toEqual(before);
}

test('labels are what the loss compares with', () => expectReference([0, 1, 2, 2, 1, 0], true));

test('without labels it is the class that the model names', () =>
  expectReference([undefined, undefined, undefined, undefined, undefined, undefined], false));

test('samples without a label among others take the class that the model names', () =>
  expectReference([0, undefined, 2, undefined, 1, 0], true));

test('models of an old operator set, with a batch of one and the axis counted from the front', () =>
  expectReference(
    [0, 1, 2, 2, 1, 0],
    true,
    text('z = MatMul(r, w2)\n  y = LogSoftmax<axis=1>(z)', 'float[1,3]', 9),
  ));

test('constants that the loss does not depend on smoothly are left out', async () => {
  const model = await parseModel(text('f = Floor(r)\n  y = MatMul(f, w2)'));
  const found = await weightGradients(model, ['w1', 'w2'], passContext({ engine, samples }));
  expect([...found.keys()]).toEqual(['w2']);
});

test('what cannot be is refused', async () => {
  const model = await parseModel(softmax);
  await expect(weightGradients(model, ['w1'], passContext({ engine }))).rejects.toMatchObject({
    code: 'usage',
  });
  const single = await parseModel(text('y = ReduceSum<keepdims=1>(r)', 'float[1,1]'));
  await expect(
    weightGradients(single, ['w1'], passContext({ engine, samples })),
  ).rejects.toMatchObject({ code: 'unsupported' });
  async function* none() {}
  await expect(
    weightGradients(model, ['w1'], passContext({ engine, samples: none })),
  ).rejects.toThrow('there is no sample');
});

test('gradients that are no numbers name the nodes to exclude, and excluding them helps', async () => {
  // The slope of a root at zero, and the mask of the Relu in front of it: infinity times zero.
  const model = await parseModel(text('s = Sqrt(r)\n  y = MatMul(s, w2)'));
  async function* negative() {
    yield { x: hostTensor('float', [1, inputs], new Float32Array(inputs)) };
  }
  const context = { engine, samples: negative };
  const run = (exclude: string[]) =>
    applyPass(model, structured, { ratio: 0.4, align: 1, criterion: 'taylor', exclude }, context);
  await expect(run([])).rejects.toMatchObject({
    code: 'unsupported',
    where: { node: 'h' },
    hint: expect.stringContaining("--exclude 'h'"),
  });
  await expect(run(['h'])).resolves.toBeDefined();
});

test('both criteria cut the digits', async () => {
  const {
    opened: { model, close },
    ports,
    dataset,
  } = await openDigits(engine);
  const indices = Uint32Array.from({ length: 40 }, (_, at) => at);
  for (const criterion of ['taylor', 'hessian']) {
    const { report } = await applyPass(
      model,
      structured,
      { macs: 0.5, criterion, refit: false, statistics: false },
      {
        engine,
        samples: repeatableFeeds(dataset, ports, indices),
        labels: labelsOf(dataset, indices),
      },
    );
    expect(report.changed.map(({ node }) => node)).toContain('conv2');
    expect(report.skipped.filter(({ reason }) => reason.includes('gradient'))).toEqual([]);
  }
  await close();
});

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPath } from '../data/node.js';
import { repeatableFeeds } from '../data/repeatable-feeds.js';
import type { Engine, Feeds } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { createNodeEngine } from '../engine/node.js';
import { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { evaluate } from '../measure/evaluate.js';
import { openModel } from '../node.js';
import { Tensor } from '../onnx/tensor.js';
import { applyPass } from '../pass.js';
import { createRandom } from '../random.js';
import { prunePlanText } from '../report/prune-plan.js';
import { runModel } from '../testing/node-models.js';
import type { PlanDetails } from './plan-details.js';
import { structured } from './structured.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/** A residual block with BatchNormalization inside: x -> a -> bn -> relu -> b, plus x, -> relu -> c. */
function residual(): Model {
  const model = new Model({ opsets: [['', 17]] });
  const { graph } = model;
  const random = createRandom(7);
  const constant = (name: string, dims: number[], make = () => random.normal() / 3) =>
    graph.addInitializer(
      name,
      Tensor.of(
        'float',
        dims,
        Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, make),
      ),
    );
  const node = (opType: string, name: string, inputs: Value[], attributes = {}) =>
    graph.addNode({ opType, name, inputs, attributes }).output();
  const pads = { pads: [1, 1, 1, 1] };
  const x = graph.addInput('x', tensorType('float', [1, 3, 6, 6]));
  const stem = node('Relu', 'r0', [node('Conv', 'stem', [x, constant('ws', [8, 3, 3, 3])], pads)]);
  const normalized = node('BatchNormalization', 'bn', [
    node('Conv', 'a', [stem, constant('wa', [12, 8, 3, 3])], pads),
    constant('scale', [12], () => 1),
    constant('shift', [12]),
    constant('mean', [12]),
    constant('variance', [12], () => 2),
  ]);
  const inner = node('Relu', 'r1', [normalized]);
  const b = node('Conv', 'b', [inner, constant('wb', [8, 12, 3, 3])], pads);
  const sum = node('Add', 'sum', [b, stem]);
  const y = node('Conv', 'c', [node('Relu', 'r2', [sum]), constant('wc', [2, 8, 1, 1])]);
  y.type = tensorType('float', [1, 2, 6, 6]);
  graph.outputs.push(y);
  return model;
}

const inputs: Feeds[] = Array.from({ length: 24 }, (_, seed) => {
  const random = createRandom(seed);
  const data = Float32Array.from({ length: 108 }, () => random.normal());
  return { x: hostTensor('float', [1, 3, 6, 6], data) };
});

async function* samples() {
  yield* inputs;
}

const details = ({ report }: { report: { details?: unknown } }) => report.details as PlanDetails;

async function outputs(model: Model, name?: string): Promise<Float32Array[]> {
  const value = name === undefined ? undefined : model.graph.value(name);
  if (value) model.graph.outputs.unshift(value);
  const all: Float32Array[] = [];
  for (const feeds of inputs) {
    const { outputs: found } = await runModel(engine, model, feeds);
    all.push(float32Of(found[model.graph.outputs[0]!.name]!));
  }
  return all;
}

const squaredError = (a: Float32Array[], b: Float32Array[]) =>
  a.reduce((sum, row, at) => sum + row.reduce((s, v, i) => s + (v - b[at]![i]!) ** 2, 0), 0);

describe('structured', () => {
  it('cuts to the target, proves it, and tells the plan', async () => {
    const result = await applyPass(residual(), structured, { macs: 0.3, align: 1 }, { engine });
    const { rows, before, after, proof, repair } = details(result);
    expect(after.macs).toBeLessThanOrEqual(0.7 * before.macs);
    expect(proof).toMatchObject({ holds: true, blind: false });
    expect(repair).toBe(null);
    expect(rows.map(({ family, widthBefore }) => [family, widthBefore])).toEqual([
      ['stem', 8],
      ['a', 12],
    ]);
    const sizes = ['ws', 'wa'].map((name) => result.model.graph.value(name).initializer!.dims[0]);
    expect(sizes).toEqual(rows.map(({ widthAfter }) => widthAfter));
    expect(result.report.notes.join()).toContain('there are no samples');
    const text = prunePlanText(JSON.parse(JSON.stringify(details(result))) as PlanDetails);
    expect(text).toMatch(/stem\s+channels\s+\d+\s+8\s+\d/);
    expect(text).toMatch(/Proof: zeroed and cut model agree/);
  });

  it('repairs the residual sum: later layers make good what earlier ones lost', async () => {
    const model = residual();
    const options = { macs: 0.4, align: 1, criterion: 'l2' };
    const plain = await applyPass(model, structured, options, { engine });
    const fixed = await applyPass(model, structured, options, { engine, samples });
    const y = await outputs(model);
    const lost = squaredError(await outputs(plain.model), y);
    expect(squaredError(await outputs(fixed.model), y)).toBeLessThan(lost / 2);
    const { layers } = details(fixed).repair!;
    expect(layers.map(({ node }) => node)).toEqual(['a', 'bn', 'b', 'c']);
    for (const { errorBefore, errorAfter } of layers)
      if (errorBefore !== null) expect(errorAfter).toBeLessThanOrEqual(errorBefore + 1e-6);
  });

  it('statistics give the channels behind BatchNormalization their mean and spread back', async () => {
    const model = residual();
    const options = { macs: 0.4, align: 1, refit: false, largestShare: 0.5 };
    const fixed = await applyPass(model, structured, options, { engine, samples });
    const cut = details(fixed).rows.find(({ family }) => family === 'a')!;
    const name = [...model.graph.nodes].find((node) => node.name === 'bn')!.output().name;
    const before = await channelMoments(await outputs(model, name), 12);
    const after = await channelMoments(await outputs(fixed.model, name), cut.widthAfter);
    for (const [mean, variance] of after) {
      const twin = before.find(
        ([m, v]) => Math.abs(m - mean) < 1e-3 && Math.abs(v - variance) < 1e-2,
      );
      expect(twin).toBeDefined();
    }
  });

  it('leaves what the caller excludes, and says so', async () => {
    const options = { macs: 0.1, align: 1, exclude: ['stem'] };
    const result = await applyPass(residual(), structured, options, { engine });
    const [stem] = details(result).rows;
    expect(stem).toMatchObject({ unitsAfter: 8, left: '"stem" is excluded by the caller' });
    await expect(
      applyPass(residual(), structured, { macs: 0.1, exclude: ['stme'] }, { engine }),
    ).rejects.toMatchObject({ code: 'usage' });
  });

  it('refuses what cannot be done, with what can', async () => {
    const refused = (options: object) =>
      expect(applyPass(residual(), structured, options, { engine })).rejects;
    await refused({}).toMatchObject({ code: 'usage', hint: expect.stringContaining('macs') });
    await refused({ macs: 0.3, ratio: 0.3 }).toMatchObject({ code: 'usage' });
    await refused({ macs: 0.95, align: 1 }).toMatchObject({
      code: 'budget',
      message: expect.stringMatching(/95.* fewer MACs cannot be reached; at most/),
    });
    await refused({ macs: 0.3, align: 1, exclude: ['*'] }).toMatchObject({
      code: 'budget',
      hint: expect.stringMatching(/what holds the others: .*is excluded by the caller/),
    });
    await refused({ macs: 0.3, criterion: 'wanda' }).toMatchObject({ code: 'usage' });
    await refused({ macs: 0.3, criterion: 'taylor' }).toMatchObject({
      message: expect.stringContaining('gradient'),
    });
  });

  it('turns the proof off loudly', async () => {
    const options = { ratio: 0.3, align: 1, proof: false };
    const result = await applyPass(residual(), structured, options, { engine });
    expect(details(result).proof).toBe(null);
    expect(result.report.warnings).toEqual([expect.stringContaining('not proved')]);
    expect(prunePlanText(details(result))).toContain('NOT PROVED');
  });

  it('golden: digits with 85 % fewer MACs, before any training', async () => {
    const path = (name: string) => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url));
    const { model, close } = await openModel(path('digits.onnx'));
    const session = await engine.createSession(await modelSource(model));
    const ports = session.inputs;
    await session.release();
    const dataset = await openPath(path('digits.npz'), { ports, preprocess: 'unit' });
    const range = (from: number, to: number) =>
      Uint32Array.from({ length: to - from }, (_, at) => from + at);
    const context = { engine, samples: repeatableFeeds(dataset, ports, range(0, 48)) };
    const options = { macs: 0.85, align: 1, largestShare: 0.95, criterion: 'l2' };
    const plain = { ...options, refit: false, statistics: false };
    const models = [model];
    for (const each of [plain, options])
      models.push((await applyPass(model, structured, each, context)).model);
    const named = await Promise.all(
      models.map(async (each, at) => ({ name: String(at), source: await modelSource(each) })),
    );
    const rows = await evaluate(named, dataset, engine, { indices: range(48, 348), batchSize: 50 });
    const correct = rows.map(({ classification }) => classification!.top1!.count);
    await close();
    // Of 300; kernels of other machines can move a sample or two on the edge.
    const golden = [293, 287, 290];
    const near = correct.map((count, at) =>
      Math.abs(count - golden[at]!) <= 2 ? golden[at] : count,
    );
    expect(near).toEqual(golden);
    expect(correct[2]).toBeGreaterThan(correct[1]!);
  });
});

function channelMoments(all: Float32Array[], channels: number): [number, number][] {
  const inner = all[0]!.length / channels;
  return Array.from({ length: channels }, (_, channel) => {
    const values = all.flatMap((row) => [...row.subarray(channel * inner, (channel + 1) * inner)]);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length];
  });
}

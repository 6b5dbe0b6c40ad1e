import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Dataset } from '../../data/dataset.js';
import { repeatableFeeds } from '../../data/repeatable-feeds.js';
import type { Engine, Feeds, HostTensor, PortInfo } from '../../engine/engine.js';
import { float32Of, hostTensor } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { createNodeEngine } from '../../engine/node.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import type { OpenModel } from '../../node.js';
import { Tensor } from '../../onnx/tensor.js';
import { quantize } from '../../quantize/index.js';
import { createRandom } from '../../random.js';
import { simplify } from '../../simplify/index.js';
import { openDigits } from '../../testing/node-digits.js';
import type { CheckpointStore } from '../checkpoint.js';
import { type FinetuneRequest, finetune } from '../finetune.js';
import { quantizedStudent } from './index.js';

let engine: Engine;
let opened: OpenModel;
let dataset: Dataset;
let ports: readonly PortInfo[];
let float: Model;

beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  ({ opened, ports, dataset } = await openDigits(engine));
  float = (await simplify(opened.model, {}, { engine })).model;
});
afterAll(async () => {
  await opened.close();
  await engine.close();
});

const range = (start: number, end: number) =>
  Uint32Array.from({ length: end - start }, (_, i) => start + i);

async function quantized(options: object, model = float): Promise<Model> {
  const samples = repeatableFeeds(dataset, ports, range(0, 20));
  const all = { placement: 'all', matMul: 'static', ...options };
  return (await quantize(model, 'static', all, { engine, samples })).model;
}

async function outputsOf(model: Model, feeds: Feeds): Promise<Float32Array> {
  const session = await engine.createSession(await modelSource(model), {
    optimization: 'disabled',
  });
  const [output] = Object.values(await session.run(feeds));
  await session.release();
  return float32Of(output!);
}

async function someFeeds(): Promise<Feeds> {
  for await (const feeds of repeatableFeeds(dataset, ports, range(30, 31))()) return feeds;
  throw new Error('no sample');
}

function withNumbers(model: Model, weights: Record<string, HostTensor>): Model {
  const copy = cloneModel(model);
  for (const [name, { dims, data }] of Object.entries(weights)) {
    copy.graph.value(name).initializer = Tensor.of('float', dims, data as Float32Array);
  }
  return copy;
}

const formats: [string, object][] = [
  ['int8', {}],
  ['int8 per tensor, int8 activations', { perChannel: false, activations: 'int8' }],
  ['int8 in 7 bits', { reduceRange: true }],
  ['uint8 with zero points', { weights: 'uint8' }],
  ['int4', { weights: 'int4' }],
  ['uint4 with zero points', { weights: 'uint4' }],
  ['int4 in blocks', { weights: 'int4', blockSize: 32 }],
  ['int16', { weights: 'int16' }],
];

describe('the trained form and the file', () => {
  test.each(formats)('compute the same bits, %s', async (_, options) => {
    const student = await quantized(options);
    const found = (await quantizedStudent(
      student,
      { freeze: [], scaleRate: 1, origin: float },
      engine,
    ))!;
    const feeds = await someFeeds();
    expect(await outputsOf(found.form, feeds)).toEqual(await outputsOf(student, feeds));
    // Numbers that training might have found: each moved by up to a fifth, scales too.
    const random = createRandom(5);
    const weights: Record<string, HostTensor> = {};
    for (const name of found.groups.keys()) {
      const tensor = found.form.graph.value(name).initializer!;
      const isLog = name.endsWith('/log_factor');
      const moved = (await tensor.floats()).map((value) => {
        const by = 0.4 * (random.next() - 0.5);
        return isLog ? by : value * (1 + by);
      });
      weights[name] = hostTensor('float', tensor.dims, moved);
    }
    const written = await found.write(weights);
    const trained = await outputsOf(withNumbers(found.form, weights), feeds);
    expect(await outputsOf(written, feeds)).toEqual(trained);
    expect(trained).not.toEqual(await outputsOf(student, feeds));
    // The same file, other numbers: scales keep their sign.
    expect(Array.from(written.graph.nodes, ({ op }) => op)).toEqual(
      Array.from(student.graph.nodes, ({ op }) => op),
    );
    for (const { name, initializer } of student.graph.initializers) {
      const [before, after] = [initializer!, written.graph.value(name).initializer!];
      expect([after.dataType, after.dims]).toEqual([before.dataType, before.dims]);
      if (!name.endsWith('_scale')) continue;
      const scales = await before.floats();
      for (const [at, scale] of (await after.floats()).entries()) {
        expect(Math.sign(scale)).toBe(Math.sign(scales[at]!));
      }
    }
  });

  test('scales keep their sign however far they go', async () => {
    const student = await quantized({ weights: 'int4' });
    const given = { freeze: [], scaleRate: 1, origin: undefined };
    const found = (await quantizedStudent(student, given, engine))!;
    const factors = [...found.groups.keys()].filter((name) => name.endsWith('/log_factor'));
    await fc.assert(
      fc.asyncProperty(fc.double({ min: -20, max: 20, noNaN: true }), async (log) => {
        const weights = Object.fromEntries(
          factors.map((name) => {
            const { dims, size } = found.form.graph.value(name).initializer!;
            return [name, hostTensor('float', dims, new Float32Array(size).fill(log))];
          }),
        );
        const written = await found.write(weights);
        for (const name of factors) {
          const scale = name.slice(0, -'/log_factor'.length);
          const before = await student.graph.value(scale).initializer!.floats();
          const after = await written.graph.value(scale).initializer!.floats();
          for (const [at, value] of after.entries()) {
            expect(value * Math.sign(before[at]!)).toBeGreaterThan(0);
          }
        }
      }),
      { numRuns: 10 },
    );
  });

  test('training starts with the floats where they give the integers', async () => {
    const student = await quantized({ weights: 'int4' });
    const from = async (origin: Model | undefined) =>
      (await quantizedStudent(student, { freeze: [], scaleRate: 1, origin }, engine))!;
    const known = await from(float);
    expect(known.originals).toBe(known.weights);
    expect((await from(undefined)).originals).toBe(0);
    const other = cloneModel(float);
    for (const value of other.graph.initializers) {
      const { dataType, dims } = value.initializer!;
      if (dataType !== 'float' || dims.length < 2) continue;
      const floats = await value.initializer!.floats();
      value.initializer = Tensor.of(
        'float',
        dims,
        floats.map((weight) => -weight),
      );
    }
    expect((await from(other)).originals).toBe(0);
  });

  test('frozen nodes keep their integers and say why', async () => {
    const student = await quantized({ weights: 'int4' });
    const [conv] = [...student.graph.nodes].filter(({ op }) => op === 'Conv');
    const given = { freeze: [conv!.label], scaleRate: 0, origin: float };
    const found = (await quantizedStudent(student, given, engine))!;
    const codes = conv!.input(1).producer!.input(0).name;
    expect(found.left).toContainEqual({ name: codes, reason: 'is frozen by the caller' });
    expect([...found.groups.keys()].filter((name) => name.endsWith('/log_factor'))).toEqual([]);
  });

  test('a float model is no quantized student', async () => {
    const given = { freeze: [], scaleRate: 1, origin: undefined };
    expect(await quantizedStudent(float, given, engine)).toBeUndefined();
  });
});

const request = (student: Model, more: Partial<FinetuneRequest> = {}): FinetuneRequest => ({
  student,
  teacher: float,
  dataset,
  train: range(0, 320),
  validate: range(320, 520),
  engine,
  seed: 3,
  ...more,
  options: { epochs: 2, batchSize: 32, ...more.options },
});

async function integersOf(model: Model): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const { name, initializer } of model.graph.initializers) {
    all[name] = await initializer!.array();
  }
  return all;
}

async function withOutliers(model: Model): Promise<Model> {
  const copy = cloneModel(model);
  for (const value of copy.graph.initializers) {
    const { dataType, dims } = value.initializer!;
    if (dataType !== 'float' || dims.length < 2) continue;
    const floats = (await value.initializer!.floats()).slice();
    floats[0] = 6 * floats.reduce((peak, weight) => Math.max(peak, Math.abs(weight)), 0);
    value.initializer = Tensor.of('float', dims, floats);
  }
  return copy;
}

test('4-bit weights that were trained are better than those that were rounded', async () => {
  // A weight that is far larger than the others takes the steps from them.
  const outliers = await withOutliers(float);
  const student = await quantized({ weights: 'int4', perChannel: false }, outliers);
  const before = await integersOf(student);
  const options = { learningRate: 0.025 };
  const result = await finetune(request(student, { origin: outliers, options }));
  expect(result.bestScore).toBeGreaterThan(result.startScore! + 0.1);
  const { weights, originals, agreement } = result.quantization!;
  expect(originals).toBe(weights);
  expect(agreement.asWritten.outputs[0]!.agreement!.exact).toBe(true);
  expect(agreement.asRun.flips!.share).toBeLessThan(0.05);
  expect(await integersOf(student)).toEqual(before);
}, 120_000);

test('a run that was stopped goes on to the same bits', async () => {
  const student = await quantized({});
  // Without samples that choose an epoch the last one is the result.
  const few = { options: {}, train: range(0, 160), validate: range(0, 0) };
  const whole = await finetune(request(student, few));
  let bytes: Uint8Array | undefined;
  let writes = 0;
  const controller = new AbortController();
  const store: CheckpointStore = {
    read: async () => bytes,
    remove: async () => {},
    async write(content) {
      bytes = content;
      if (++writes === 3) controller.abort();
    },
  };
  const checkpoint = { store, everySteps: 2 };
  const { signal } = controller;
  await expect(finetune(request(student, { ...few, checkpoint, signal }))).rejects.toMatchObject({
    code: 'aborted',
  });
  const resumed = await finetune(request(student, { ...few, checkpoint }));
  expect(resumed.resumedAt).toBeGreaterThan(0);
  expect(await integersOf(resumed.model)).toEqual(await integersOf(whole.model));
  expect(await integersOf(whole.model)).not.toEqual(await integersOf(student));
}, 120_000);

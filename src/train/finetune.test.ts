import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { createNodeEngine } from '../engine/node.js';
import { cloneModel } from '../graph/clone.js';
import type { Model } from '../graph/model.js';
import type { OpenModel } from '../node.js';
import { Tensor } from '../onnx/tensor.js';
import { prune } from '../prune/index.js';
import { readMasks } from '../prune/masks.js';
import { createRandom } from '../random.js';
import { openDigits } from '../testing/node-digits.js';
import type { CheckpointStore } from './checkpoint.js';
import { type FinetuneRequest, finetune } from './finetune.js';

let engine: Engine;
let opened: OpenModel;
let dataset: Dataset;
let damaged: Model;

beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
  ({ opened, dataset } = await openDigits(engine));
  damaged = await damage(opened.model);
});
afterAll(async () => {
  await opened.close();
  await engine.close();
});

/** Most weights of the convolutions are gone. */
async function damage(model: Model): Promise<Model> {
  const copy = cloneModel(model);
  const random = createRandom(1);
  for (const value of copy.graph.initializers) {
    const tensor = value.initializer!;
    if (tensor.dims.length !== 4) continue;
    const kept = (await tensor.floats()).map((w) => (random.next() < 0.7 ? 0 : w));
    value.initializer = Tensor.of('float', tensor.dims, kept);
  }
  return copy;
}

const range = (start: number, end: number) =>
  Uint32Array.from({ length: end - start }, (_, i) => start + i);

const request = (more: Partial<FinetuneRequest> = {}): FinetuneRequest => ({
  student: damaged,
  teacher: opened.model,
  dataset,
  train: range(0, 320),
  validate: range(320, 420),
  engine,
  seed: 3,
  ...more,
  options: { epochs: 2, ...more.options },
});

async function weightsOf(model: Model): Promise<Record<string, Float32Array>> {
  const all: Record<string, Float32Array> = {};
  for (const { name, initializer } of model.graph.initializers) {
    if (initializer!.dataType === 'float') all[name] = await initializer!.floats();
  }
  return all;
}

test.each([
  ['sgd', 0.02],
  ['muon', 0.05],
] as const)(
  '%s: a teacher without labels brings the accuracy back, and pruned weights stay zero',
  async (optimizer, learningRate) => {
    const before = await weightsOf(damaged);
    const convolutions = Object.keys(before).filter((name) => before[name]!.includes(0));
    const result = await finetune(
      request({ masked: new Set(convolutions), options: { optimizer, learningRate } }),
    );
    const [first] = result.history;
    expect(result.losses).toEqual(['distillation']);
    expect(result.bestScore).toBeGreaterThan(result.startScore! + 0.1);
    expect(result.history[1]!.loss).toBeLessThan(first!.loss);
    const after = await weightsOf(result.model);
    for (const name of convolutions) {
      expect(after[name]).not.toEqual(before[name]);
      for (const [i, weight] of before[name]!.entries()) {
        if (weight === 0) expect(after[name]![i]).toBe(0);
      }
    }
    // Neither model was touched.
    expect(await weightsOf(damaged)).toEqual(before);
  },
);

test('labels alone do as well', async () => {
  const result = await finetune(request({ teacher: undefined, options: { epochs: 2 } }));
  expect(result.losses).toEqual(['cross-entropy']);
  expect(result.bestScore).toBeGreaterThan(0.85);
});

test('mixtures of samples teach too', async () => {
  for (const labelShare of [0, 0.5, 1]) {
    const options = { mixup: 1, labelShare };
    const { bestScore, startScore, losses } = await finetune(request({ options }));
    expect(bestScore).toBeGreaterThan(startScore! + 0.1);
    expect(losses).toHaveLength(labelShare === 0.5 ? 2 : 1);
  }
});

test('adapters train instead of the weights, in less memory, and end in them', async () => {
  const whole = await finetune(request({ options: { epochs: 1 } }));
  const result = await finetune(request({ options: { lora: 8, learningRate: 0.01, epochs: 3 } }));
  expect(result.trained).toEqual(['fc1.weight', 'fc2.weight']);
  expect(result.frozen.map(({ name }) => name)).toContain('conv1.weight');
  expect(result.memory.stateBytes).toBeLessThan(whole.memory.stateBytes / 10);
  expect(result.memory.totalBytes).toBeLessThan(whole.memory.totalBytes);
  expect(result.bestScore).toBeGreaterThan(result.startScore!);
  const [before, after] = [await weightsOf(damaged), await weightsOf(result.model)];
  expect(Object.keys(after)).toEqual(Object.keys(before));
  for (const name of Object.keys(before)) {
    if (result.trained.includes(name)) expect(after[name]).not.toEqual(before[name]);
    else expect(after[name]).toEqual(before[name]);
  }
  await expect(finetune(request({ options: { loraAlpha: 8 } }))).rejects.toThrow(/without lora/);
});

test('hidden values are learned too', async () => {
  const learned = request({
    train: range(0, 32),
    validate: new Uint32Array(),
    options: { epochs: 1, features: ['op:Relu', 'fc1'] },
  });
  const { losses, features } = await finetune(learned);
  expect(losses).toEqual(['distillation', 'feature-mse']);
  expect(features.compared).toHaveLength(4);
  await expect(finetune({ ...learned, teacher: undefined })).rejects.toThrow(/with a teacher/);
});

test('what a cut made narrower is learned from the channels that it comes from', async () => {
  const pruning = { criterion: 'l2', macs: 0.5, repair: false };
  const { model: student } = await prune(opened.model, 'structured', pruning, { engine });
  const learned = request({
    student,
    train: range(0, 96),
    validate: new Uint32Array(),
    options: { epochs: 2, features: ['op:Relu'], featureWeight: 5 },
  });
  const { features, history } = await finetune(learned);
  expect(features.skipped).toEqual([]);
  expect(features.compared).toHaveLength(3);
  expect(features.narrow.length).toBeGreaterThan(0);
  expect(history[1]!.loss).toBeLessThan(history[0]!.loss);
});

/** A checkpoint in memory. */
function memoryStore(): CheckpointStore & { bytes: Uint8Array | undefined } {
  return {
    bytes: undefined,
    async read() {
      return this.bytes;
    },
    async write(bytes) {
      this.bytes = bytes;
    },
    async remove() {
      this.bytes = undefined;
    },
  };
}

test.each([
  ['weights', {}],
  ['adapters', { lora: 4 }],
  ['mixtures', { mixup: 0.5, cutmix: 0.5 }],
])('a run that was stopped goes on to the same bits as one that was not: %s', async (_, more) => {
  const options = { averaging: 0.9, clipNorm: 1, flip: true, shift: 1, ...more };
  const whole = await finetune(request({ options }));
  const store = memoryStore();
  const controller = new AbortController();
  let writes = 0;
  const stopping: CheckpointStore = {
    ...store,
    read: () => store.read(),
    remove: () => store.remove(),
    async write(bytes) {
      await store.write(bytes);
      // In the middle of the second epoch.
      if (++writes === 5) controller.abort();
    },
  };
  const stopped = finetune(
    request({
      options,
      signal: controller.signal,
      checkpoint: { store: stopping, everySteps: 3 },
    }),
  );
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  expect(store.bytes).toBeDefined();
  const resumed = await finetune(request({ options, checkpoint: { store, everySteps: 3 } }));
  expect(resumed.resumedAt).toBe(12);
  expect(store.bytes).toBeUndefined();
  expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
  expect(resumed.history.map(({ loss }) => loss)).toEqual(whole.history.map(({ loss }) => loss));
});

test.each(['adam', 'muon'] as const)(
  '%s: weights leave while it trains, exactly as many as asked, also in a run that was stopped',
  async (optimizer) => {
    const options = { optimizer, sparsity: 0.75, epochs: 4, averaging: 0.9, dense: ['op:Gemm'] };
    const given = { student: opened.model, train: range(0, 160) };
    const store = memoryStore();
    const controller = new AbortController();
    const write = store.write.bind(store);
    let writes = 0;
    const stopping: CheckpointStore = {
      ...store,
      read: () => store.read(),
      async write(bytes) {
        await write(bytes);
        if (++writes === 4) controller.abort();
      },
    };
    const checkpoint = { store: stopping, everySteps: 2 };
    const stopped = finetune(request({ ...given, options, checkpoint, signal: controller.signal }));
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    const resumed = await finetune(
      request({ ...given, options, checkpoint: { store, everySteps: 2 } }),
    );
    expect(resumed.resumedAt).toBeGreaterThan(0);
    const whole = await finetune(request({ ...given, options }));
    const weights = await weightsOf(whole.model);
    expect(await weightsOf(resumed.model)).toEqual(weights);
    const masked = [...readMasks(whole.model).keys()];
    expect(masked).toEqual(['conv1.weight', 'conv2.weight']);
    const entries = masked.flatMap((name) => [...weights[name]!]);
    expect(entries.filter((w) => w === 0)).toHaveLength(Math.round(0.75 * entries.length));
    expect(weights['fc1.weight']).not.toContain(0);
    // What was better with more weights does not count.
    expect(whole.bestEpoch).toBeGreaterThanOrEqual(3);
    expect(whole.restarts).toEqual([]);
  },
);

test('a checkpoint of other settings is refused', async () => {
  const store = memoryStore();
  const controller = new AbortController();
  const write = store.write.bind(store);
  store.write = async (bytes) => {
    await write(bytes);
    controller.abort();
  };
  const checkpoint = { store, everySteps: 2 };
  await expect(finetune(request({ checkpoint, signal: controller.signal }))).rejects.toThrow();
  await expect(finetune(request({ checkpoint, seed: 4 }))).rejects.toThrow(/of another run/);
});

test('what is missing is said', async () => {
  const unlabelled: Dataset = { ...dataset, hasLabels: false };
  await expect(finetune(request({ dataset: unlabelled, teacher: undefined }))).rejects.toThrow(
    /cross-entropy needs labels/,
  );
  await expect(
    finetune(request({ teacher: undefined, options: { loss: 'distillation' } })),
  ).rejects.toThrow(/compares with a teacher/);
  await expect(finetune(request({ options: { mixup: 1, batchSize: 1 } }))).rejects.toThrow(
    /a batch has 1/,
  );
  await expect(finetune(request({ options: { mixup: 0.6, cutmix: 0.5 } }))).rejects.toThrow(
    /60\.00 % mixup and 50\.00 % cutmix are more than all samples/,
  );
  await expect(finetune(request({ options: { learningRate: 1e30 } }))).rejects.toThrow(
    /the loss is no number/,
  );
});

test('a rate that makes it worse is lowered until it does not, also where it was stopped', async () => {
  const options = { learningRate: 4, epochs: 1 };
  const store = memoryStore();
  const controller = new AbortController();
  const given: number[] = [];
  const stopped = finetune(
    request({
      options,
      signal: controller.signal,
      checkpoint: { store, everySteps: 3 },
      onRestart: ({ from, to }) => {
        given.push(from, to);
        if (given.length === 4) controller.abort();
      },
    }),
  );
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  expect(given).toEqual([4, 1, 1, 0.25]);
  const resumed = await finetune(request({ options, checkpoint: { store, everySteps: 3 } }));
  expect(resumed.restarts.map(({ to }) => to)).toEqual([1, 0.25]);
  expect(resumed.history).toHaveLength(1);
  const whole = await finetune(request({ options }));
  expect(await weightsOf(resumed.model)).toEqual(await weightsOf(whole.model));
});

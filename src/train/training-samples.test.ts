import { expect, test } from 'vitest';
import type { Dataset } from '../data/dataset.js';
import type { PortInfo } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { augmentOptions } from './augment.js';
import { keepSamples, TrainingSamples } from './training-samples.js';

const ports: readonly PortInfo[] = [{ name: 'x', dataType: 'float', dims: ['N', 1, 1, 2] }];

/** Sample i is a picture of the pixels i and -i. */
function numbers(size: number, reads: number[] = []): Dataset {
  return {
    name: 'numbers',
    size,
    hasLabels: true,
    preprocessing: '',
    async *samples(indices = Array.from({ length: size }, (_, i) => i)) {
      for (const index of Array.from(indices)) {
        reads.push(index);
        const data = Float32Array.of(index, -index);
        const x = hostTensor('float', [1, 1, 2], data);
        yield { id: String(index), inputs: { x }, label: index };
      }
    },
    fingerprint: async () => '',
  };
}

const settings = (given: object = {}, augment: object = {}) => ({
  batchSize: 4,
  seed: 1,
  ...given,
  augment: augmentOptions.parse(augment),
});

async function labelsOf(samples: TrainingSamples, epoch: number, first = 0) {
  const all: (number | undefined)[] = [];
  for await (const { labels } of samples.epoch(epoch, first)) all.push(...labels);
  return all;
}

const subset = Uint32Array.from({ length: 10 }, (_, i) => i + 5);

test('an epoch shows every chosen sample once, in whole batches, each epoch in its own order', async () => {
  const samples = new TrainingSamples(numbers(20), subset, ports, settings({ batchSize: 5 }));
  expect(samples.stepsPerEpoch).toBe(2);
  const first = await labelsOf(samples, 0);
  const second = await labelsOf(samples, 1);
  expect([...first].sort((a, b) => a! - b!)).toEqual([...subset]);
  expect([...second].sort((a, b) => a! - b!)).toEqual([...subset]);
  expect(second).not.toEqual(first);
  expect(await labelsOf(samples, 0)).toEqual(first);
});

test('what does not fill a batch waits for another epoch', async () => {
  const samples = new TrainingSamples(numbers(20), subset, ports, settings());
  expect(samples.stepsPerEpoch).toBe(2);
  expect(await labelsOf(samples, 0)).toHaveLength(8);
});

test.each([
  ['augmentation', settings({ batchSize: 2 }, { flip: true })],
  ['mixup', settings({ batchSize: 2, mixtures: { mixup: 1, cutmix: 0 } }, { flip: true })],
  ['cutmix', settings({ batchSize: 2, mixtures: { mixup: 0, cutmix: 0.5 } }, { flip: true })],
])('from a step in the middle it goes on as the uninterrupted epoch: %s', async (_, given) => {
  const pixels = async (first: number) => {
    const samples = new TrainingSamples(numbers(20), subset, ports, given);
    const all: number[][] = [];
    for await (const { feeds } of samples.epoch(3, first))
      all.push([...(feeds.x!.data as Float32Array)]);
    return all;
  };
  const whole = await pixels(0);
  expect(await pixels(2)).toEqual(whole.slice(2));
  // Some are mirrored and some are not.
  expect(new Set(whole.flat().map((pixel, i) => (i % 2 ? pixel > 0 : pixel < 0))).size).toBe(2);
});

test('samples are read once while they fit, and again beyond', async () => {
  const reads: number[] = [];
  // A sample has 8 bytes: two fit.
  const kept = keepSamples(numbers(3, reads), 16);
  const labels = async () => {
    const all = [];
    for await (const { label } of kept.samples([2, 0, 1, 2])) all.push(label);
    return all;
  };
  expect(await labels()).toEqual([2, 0, 1, 2]);
  expect(await labels()).toEqual([2, 0, 1, 2]);
  expect(reads).toEqual([2, 0, 1, 2, 1]);
});

test('fewer samples than a batch are refused with their number', () => {
  expect(
    () => new TrainingSamples(numbers(20), subset, ports, settings({ batchSize: 11 })),
  ).toThrow(/10 samples are fewer than one batch of 11/);
});

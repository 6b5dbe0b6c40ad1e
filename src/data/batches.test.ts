import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PortInfo } from '../engine/engine.js';
import { type Batch, batches } from './batches.js';
import { iterableDataset } from './open.js';
import { splitDataset } from './split.js';

const port = (dims: readonly (number | string)[], name = 'x'): PortInfo => ({
  name,
  dataType: 'float',
  dims,
});
const rows = (lengths: number[]) =>
  lengths.map((length, i) => ({ inputs: { x: new Float32Array(length).fill(i) }, label: i }));

async function collect(
  lengths: number[],
  ports: PortInfo[],
  batchSize?: number,
  indices?: number[],
): Promise<Batch[]> {
  const dataset = await iterableDataset(rows(lengths), 'rows', { ports: ports.slice(0, 1) });
  const all: Batch[] = [];
  for await (const batch of batches(dataset, ports, { batchSize, indices })) all.push(batch);
  return all;
}

describe('batches', () => {
  it('stacks along axis 0, in the order asked for', async () => {
    const all = await collect([2, 2, 2], [port(['N', 2])], 2, [2, 0, 1]);
    expect(all).toEqual([
      {
        feeds: { x: { dataType: 'float', dims: [2, 2], data: Float32Array.of(2, 2, 0, 0) } },
        count: 2,
        labels: [2, 0],
        ids: ['2', '0'],
      },
      {
        feeds: { x: { dataType: 'float', dims: [1, 2], data: Float32Array.of(1, 1) } },
        count: 1,
        labels: [1],
        ids: ['1'],
      },
    ]);
  });

  it('obeys a fixed batch: 1 alone, k filled up by the last sample', async () => {
    expect((await collect([2, 2], [port([1, 2])], 8)).map(({ count }) => count)).toEqual([1, 1]);
    const filled = await collect([1, 1, 1], [port([2, 1])], 8);
    expect(filled.map(({ count, feeds }) => [count, ...(feeds.x!.data as Float32Array)])).toEqual([
      [2, 0, 1],
      [1, 2, 2],
    ]);
    expect(filled[1]!.labels).toEqual([2]);
  });

  it('stacks only equal shapes', async () => {
    const all = await collect([2, 2, 3, 2], [port(['N', 'len'])], 8);
    expect(all.map(({ feeds }) => feeds.x!.dims)).toEqual([
      [2, 2],
      [1, 3],
      [1, 2],
    ]);
  });

  it('feeds a model without a batch dim as it is', async () => {
    const all = await collect([3, 3], [port([3])], 8);
    expect(all.map(({ feeds }) => feeds.x!.dims)).toEqual([[3], [3]]);
  });

  it('names an input that the data has not', async () => {
    await expect(collect([2], [port(['N', 2]), port(['N', 7], 'mask')])).rejects.toMatchObject({
      code: 'data-mismatch',
      message: expect.stringMatching(
        /"mask" float \[N,7\] is not in the data, which gives "x" float \[2\]/,
      ),
    });
  });

  it('loses and doubles no sample', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(lengths, fc.integer({ min: 1, max: 5 }), async (all, batchSize) => {
        const made = await collect(all, [port(['N', 'len'])], batchSize);
        expect(made.flatMap(({ labels }) => labels)).toEqual(all.map((_, i) => i));
        for (const { feeds, count } of made) {
          expect(count).toBeLessThanOrEqual(batchSize);
          expect(feeds.x!.dims[0]).toBe(count);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('iterables', () => {
  it('takes tensors, typed arrays, nested arrays, by name and alone', async () => {
    async function* samples() {
      yield new Float32Array(2);
      yield [1, 2];
      yield { data: Float32Array.of(3, 4), dims: [2] };
      yield { inputs: [5, 6], label: 1, id: 'own' };
      yield { x: [7, 8], label: 0 };
    }
    const dataset = await iterableDataset(samples(), 'mixed', { ports: [port(['N', 2])] });
    const seen: unknown[] = [];
    for await (const { id, inputs, label } of dataset.samples())
      seen.push([id, [...(inputs.x!.data as Float32Array)], label]);
    expect(seen).toEqual([
      ['0', [0, 0], undefined],
      ['1', [1, 2], undefined],
      ['2', [3, 4], undefined],
      ['own', [5, 6], 1],
      ['4', [7, 8], 0],
    ]);
  });

  it.each([[['text']], [[{ x: 'text' }]], [[{ x: [1], label: 0.5 }]], [[null]], [[]]])(
    'refuses %j',
    async (samples) => {
      await expect(iterableDataset(samples, 'bad')).rejects.toMatchObject({ code: 'invalid-data' });
    },
  );

  it('refuses a sample that is not there', async () => {
    const dataset = await iterableDataset(rows([1]), 'one', { ports: [port(['N', 1])] });
    expect(() => dataset.samples([1])).toThrow(/sample 1 was asked of 1/);
  });
});

describe('splitDataset', () => {
  it('gives disjoint parts of the sizes asked for, the same for a seed', () => {
    const count = fc.integer({ min: 0, max: 40 });
    fc.assert(
      fc.property(
        count,
        count,
        count,
        count,
        fc.integer(),
        (calibrate, train, evaluate, more, seed) => {
          const options = { calibrate, train, evaluate, seed };
          const split = splitDataset({ size: calibrate + train + evaluate + more }, options);
          expect([split.calibrate.length, split.train.length, split.evaluate.length]).toEqual([
            calibrate,
            train,
            evaluate,
          ]);
          const all = [...split.calibrate, ...split.train, ...split.evaluate];
          expect(new Set(all).size).toBe(all.length);
          expect(splitDataset({ size: calibrate + train + evaluate + more }, options)).toEqual(
            split,
          );
        },
      ),
    );
  });

  it('measures on what is left by default, on one sample too', () => {
    const split = splitDataset({ size: 1000 });
    expect([split.calibrate.length, split.train.length, split.evaluate.length]).toEqual([
      128, 0, 872,
    ]);
    expect([...splitDataset({ size: 1 }).evaluate]).toEqual([0]);
    const trained = splitDataset({ size: 100 }, { calibrate: 0, train: Number.POSITIVE_INFINITY });
    expect([trained.train.length, trained.evaluate.length]).toEqual([80, 20]);
  });

  it('takes evaluation from the test part and the rest from the train part', () => {
    const parts = { train: { start: 0, end: 10 }, test: { start: 10, end: 14 } };
    const { calibrate, train, evaluate } = splitDataset(
      { size: 14, parts },
      { calibrate: 3, train: Number.POSITIVE_INFINITY },
    );
    expect([...evaluate]).toEqual([10, 11, 12, 13]);
    expect([...calibrate, ...train].sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
  });

  it('refuses more than there is', () => {
    expect(() => splitDataset({ size: 10 }, { calibrate: 8, evaluate: 3 })).toThrow(
      /3 samples to evaluate were asked for, 2 of 10 are left/,
    );
    expect(() => splitDataset({ size: 10 }, { train: -1 })).toThrow(/"train" of a split is -1/);
  });
});

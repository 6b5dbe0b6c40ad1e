import { expect, test } from 'vitest';
import type { Batch } from '../data/batches.js';
import { hostTensor } from '../engine/host-tensor.js';
import { mixBatch } from './mixup.js';

const batchOf = (rows: readonly (readonly number[])[]): Batch => ({
  feeds: { x: hostTensor('float', [rows.length, rows[0]!.length], Float32Array.from(rows.flat())) },
  count: rows.length,
  labels: rows.map((_, at) => at),
  ids: rows.map((_, at) => String(at)),
});
const mixed = (batch: Batch, share: number, seed: number) =>
  mixBatch(batch, share, seed).feeds.x!.data as Float32Array;

/** Each row has numbers where the other has none: what a mixture holds of both can be read off. */
const apart = [
  [1, 2, 0, 0],
  [0, 0, 1, 2],
];

test('a row is p of itself and 1 - p of the next, with one p for all of its numbers', () => {
  const own: number[] = [];
  for (let seed = 0; seed < 100; seed++) {
    const data = mixed(batchOf(apart), 1, seed);
    const parts = mixBatch(batchOf(apart), 1, seed).own!;
    expect([data[0], data[6]]).toEqual(parts.map(Math.fround));
    // The first row and what is mixed into it, then the second row likewise.
    for (const [at, other] of [
      [0, 2],
      [6, 4],
    ] as const) {
      const p = data[at]!;
      expect(data[at + 1]).toBeCloseTo(2 * p, 6);
      expect(data[other]).toBeCloseTo(1 - p, 6);
      expect(data[other + 1]).toBeCloseTo(2 - 2 * p, 6);
      own.push(p);
    }
  }
  expect(Math.min(...own)).toBeGreaterThanOrEqual(0);
  expect(Math.min(...own)).toBeLessThan(0.05);
  expect(Math.max(...own)).toBeGreaterThan(0.95);
  expect(own.reduce((sum, p) => sum + p) / own.length).toBeCloseTo(0.5, 1);
});

test('a share of the samples is mixed, and the others stay as they are', () => {
  const rows = Array.from({ length: 1000 }, (_, at) => [at]);
  const data = mixed(batchOf(rows), 0.25, 3);
  const changed = data.filter((value, at) => value !== at).length;
  expect(changed).toBeGreaterThan(200);
  expect(changed).toBeLessThan(300);
  expect(mixed(batchOf(rows), 0, 3)).toEqual(Float32Array.from(rows.flat()));
});

test('the seed decides, all inputs are mixed alike, and the batch that is given stays', () => {
  const batch = batchOf(apart);
  const two = { ...batch, feeds: { ...batch.feeds, y: batch.feeds.x! } };
  const { feeds, ids, labels } = mixBatch(two, 1, 5);
  expect(feeds.y!.data).toEqual(feeds.x!.data);
  expect(mixed(batch, 1, 5)).toEqual(feeds.x!.data);
  expect(mixed(batch, 1, 6)).not.toEqual(feeds.x!.data);
  expect([ids, labels]).toEqual([batch.ids, batch.labels]);
  expect(batch.feeds.x!.data).toEqual(Float32Array.from(apart.flat()));
});

test('tokens are refused by name', () => {
  const tokens = hostTensor('int64', [2, 1], new BigInt64Array(2));
  const batch = { ...batchOf(apart), feeds: { ids: tokens } };
  expect(() => mixBatch(batch, 1, 0)).toThrow(/"ids" is int64 \[2,1\]/);
});

import { expect, test } from 'vitest';
import type { Batch } from '../data/batches.js';
import { hostTensor } from '../engine/host-tensor.js';
import { mixBatch } from './mixtures.js';

const batchOf = (rows: readonly (readonly number[])[]): Batch => ({
  feeds: { x: hostTensor('float', [rows.length, rows[0]!.length], Float32Array.from(rows.flat())) },
  count: rows.length,
  labels: rows.map((_, at) => at),
  ids: rows.map((_, at) => String(at)),
});
const blend = (batch: Batch, mixup: number, seed: number) =>
  mixBatch(batch, { mixup, cutmix: 0, layout: 'NCHW' }, seed);
const mixed = (batch: Batch, share: number, seed: number) =>
  blend(batch, share, seed).feeds.x!.data as Float32Array;

/** Each row has numbers where the other has none: what a mixture holds of both can be read off. */
const apart = [
  [1, 2, 0, 0],
  [0, 0, 1, 2],
];

test('a row is p of itself and 1 - p of the next, with one p for all of its numbers', () => {
  const own: number[] = [];
  for (let seed = 0; seed < 100; seed++) {
    const data = mixed(batchOf(apart), 1, seed);
    const parts = blend(batchOf(apart), 1, seed).own!;
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
  const { feeds, ids, labels } = blend(two, 1, 5);
  expect(feeds.y!.data).toEqual(feeds.x!.data);
  expect(mixed(batch, 1, 5)).toEqual(feeds.x!.data);
  expect(mixed(batch, 1, 6)).not.toEqual(feeds.x!.data);
  expect([ids, labels]).toEqual([batch.ids, batch.labels]);
  expect(batch.feeds.x!.data).toEqual(Float32Array.from(apart.flat()));
});

test('tokens are refused by name', () => {
  const tokens = hostTensor('int64', [2, 1], new BigInt64Array(2));
  const batch = { ...batchOf(apart), feeds: { ids: tokens } };
  expect(() => blend(batch, 1, 0)).toThrow(/"ids" is int64 \[2,1\]/);
});

/** Pictures of one number each, two channels of 6 by 4 pixels. */
const pictures = (layout: 'NCHW' | 'NHWC', count = 3): Batch => {
  const dims = layout === 'NCHW' ? [count, 2, 6, 4] : [count, 6, 4, 2];
  const data = Float32Array.from({ length: count * 48 }, (_, at) => Math.floor(at / 48));
  return { ...batchOf([[0]]), feeds: { x: hostTensor('float', dims, data) }, count };
};

test.each(['NCHW', 'NHWC'] as const)(
  'cutmix pastes one rectangle into all channels: %s',
  (layout) => {
    const areas: number[] = [];
    for (let seed = 0; seed < 60; seed++) {
      const batch = mixBatch(pictures(layout), { mixup: 0, cutmix: 1, layout }, seed);
      const { data } = batch.feeds.x!;
      for (const [row, own] of batch.own!.entries()) {
        const pixel = (channel: number, at: number) =>
          Number(data[row * 48 + (layout === 'NCHW' ? channel * 24 + at : at * 2 + channel)]);
        const pasted = Array.from({ length: 24 }, (_, at) => at).filter(
          (at) => pixel(0, at) !== row,
        );
        for (let at = 0; at < 24; at++) expect(pixel(1, at)).toBe(pixel(0, at));
        for (const at of pasted) expect(pixel(0, at)).toBe((row + 1) % 3);
        const rows = new Set(pasted.map((at) => Math.floor(at / 4)));
        const columns = new Set(pasted.map((at) => at % 4));
        expect(pasted).toHaveLength(rows.size * columns.size);
        expect(own).toBeCloseTo(1 - pasted.length / 24, 12);
        areas.push(pasted.length);
      }
    }
    expect(Math.min(...areas)).toBe(0);
    expect(Math.max(...areas)).toBeGreaterThan(16);
  },
);

test('a sample is mixed in one way, and each way has its share', () => {
  const options = { mixup: 0.3, cutmix: 0.3, layout: 'NCHW' } as const;
  const { feeds, own } = mixBatch(pictures('NCHW', 1000), options, 1);
  const whole = own!.filter((share) => share === 1).length;
  const blended = Array.from({ length: 1000 }, (_, row) => Number(feeds.x!.data[row * 48])).filter(
    (value) => !Number.isInteger(value),
  ).length;
  // Patches of no pixel at all make a whole sample of some.
  expect(whole).toBeGreaterThan(350);
  expect(whole).toBeLessThan(500);
  expect(blended).toBeGreaterThan(240);
  expect(blended).toBeLessThan(360);
});

test('what has no patches is refused by name', () => {
  const options = { mixup: 0, cutmix: 1, layout: 'NCHW' } as const;
  expect(() => mixBatch(batchOf(apart), options, 0)).toThrow(/input "x" is float \[2,4\]/);
});

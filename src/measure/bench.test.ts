import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { createNodeEngine } from '../engine/node.js';
import { bench, speedUp } from './bench.js';
import { linearModel, named } from './test-models.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
});

const feeds = { x: hostTensor('float', [1, 2], Float32Array.of(1, 2)) };
const models = () =>
  Promise.all([named('a', linearModel([[1], [2]])), named('b', linearModel([[3], [4]]))]);

test('has a row per threads, level and model, the first of a group without a speed-up', async () => {
  const report = await bench(await models(), feeds, engine, {
    warmup: 1,
    rounds: 8,
    threads: [1, 2],
    levels: ['disabled', 'all'],
    memory: false,
  });
  expect(report.engine.name).toBe('onnxruntime-node');
  const rows = report.rows.map(({ threads, level, model }) => `${threads} ${level} ${model}`);
  expect(rows).toEqual([
    '1 disabled a',
    '1 disabled b',
    '1 all a',
    '1 all b',
    '2 disabled a',
    '2 disabled b',
    '2 all a',
    '2 all b',
  ]);
  for (const row of report.rows) {
    expect(row.rounds).toBe(8);
    expect(row.minMs).toBeGreaterThan(0);
    expect(row.minMs).toBeLessThanOrEqual(row.p10Ms);
    expect(row.p10Ms).toBeLessThanOrEqual(row.medianMs);
    expect(row.medianMs).toBeLessThanOrEqual(row.p90Ms);
    expect(row.memory).toBeNull();
    expect(row.speedUp === null).toBe(row.model === 'a');
  }
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
});

test('peak memory is that of a process of its own', async () => {
  const [model] = await models();
  const { rows } = await bench([model!], feeds, engine, { warmup: 0, rounds: 1 });
  const { memory } = rows[0]!;
  expect(memory!.peakBytes).toBeGreaterThanOrEqual(memory!.baselineBytes);
  expect(memory!.baselineBytes).toBeGreaterThan(1e6);
});

test('the speed-up pairs the rounds, so that drift of both cancels', () => {
  const drift = Float64Array.from({ length: 20 }, (_, round) => 1 + round);
  const result = speedUp(
    drift.map((ms) => 3 * ms),
    drift,
  );
  expect(result.ratio).toBeCloseTo(3, 12);
  expect(result.interval!.map((ratio) => Math.round(ratio * 1e9))).toEqual([3e9, 3e9]);
  expect(speedUp(drift.subarray(0, 5), drift.subarray(0, 5)).interval).toBeNull();
});

test('refuses feeds and counts that make no sense', async () => {
  await expect(bench(await models(), [feeds], engine)).rejects.toThrow(/1 sets of feeds for 2/);
  await expect(bench(await models(), feeds, engine, { rounds: 0 })).rejects.toMatchObject({
    code: 'usage',
  });
  await expect(bench([], feeds, engine)).rejects.toMatchObject({ code: 'usage' });
});

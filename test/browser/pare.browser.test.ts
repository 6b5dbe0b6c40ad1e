/**
 * The library in Chromium, over onnxruntime-web: trains as in Node, quantizes, prunes, evaluates.
 */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  bytesSource,
  type Engine,
  encode,
  evaluate,
  loadModel,
  modelSource,
  openDataset,
  optimize,
  prune,
  quantize,
} from '../../src/index.js';
import { createWebEngine } from '../../src/web.js';
import { type Assets, steps, trainingCurve } from './curve.js';

let engine: Engine;
let assets: Assets;

async function fetchAsset(name: string): Promise<Uint8Array> {
  const response = await fetch(new URL(`../../assets/${name}`, import.meta.url));
  return new Uint8Array(await response.arrayBuffer());
}

beforeAll(async () => {
  engine = await createWebEngine();
  assets = { model: await fetchAsset('digits.onnx'), data: await fetchAsset('digits.npz') };
});
afterAll(() => engine.close());

test('the loss curve of training is the one of Node', async () => {
  const curve = await trainingCurve(engine, assets);
  const expected = inject('nodeCurve');
  expect(curve).toHaveLength(steps);
  expect(curve.at(-1)).toBeLessThan(curve[0]! / 2);
  const errors = curve.map((loss, step) => Math.abs(loss - expected[step]!));
  expect(Math.max(...errors)).toBeLessThan(1e-3);
});

async function openDigits() {
  const model = await loadModel(bytesSource(assets.model));
  const session = await engine.createSession(await modelSource(model));
  const dataset = await openDataset(bytesSource(assets.data, 'digits.npz'), {
    ports: session.inputs,
    preprocess: 'unit',
  });
  await session.release();
  return { model, dataset };
}

test('quantizes and prunes, and the results keep the accuracy', async () => {
  const { model, dataset } = await openDigits();
  const { model: dynamic } = await quantize(model, 'dynamic', {}, { engine });
  const { model: pruned } = await prune(
    model,
    'unstructured',
    { sparsity: 0.5, criterion: 'magnitude' },
    { engine },
  );
  const named = { model, dynamic, pruned };
  const scored = await evaluate(
    await Promise.all(
      Object.entries(named).map(async ([name, each]) => ({
        name,
        source: await modelSource(each),
      })),
    ),
    dataset,
    engine,
    { indices: Uint32Array.from({ length: 300 }, (_, at) => at) },
  );
  const [original, ...others] = scored.map(({ classification }) => classification!.top1!.share);
  expect(original).toBeGreaterThan(0.95);
  for (const top1 of others) expect(top1).toBeGreaterThan(original! - 0.02);
  const bytesOf = async (each: typeof model) =>
    (await encode(each)).reduce((sum, part) => sum + part.length, 0);
  expect(await bytesOf(dynamic)).toBeLessThan(0.5 * (await bytesOf(model)));
});

test('optimizes for the runtime that it runs on', async () => {
  const { model, dataset } = await openDigits();
  const result = await optimize(model, dataset, engine, {
    target: 'wasm',
    goal: 'size',
    promise: { maxDrop: 2 },
    samples: 200,
    version: '0.0.0',
  });
  expect(result.failure).toBeNull();
  const chosen = result.candidates.find(({ verdict }) => verdict === 'chosen');
  expect(chosen!.sizeBytes).toBeLessThan(result.original.sizeBytes / 2);
  expect(chosen!.evaluation!.drop!.points).toBeLessThanOrEqual(2);
});

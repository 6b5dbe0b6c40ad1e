/** The engine of a page, in Chromium: what engine.test.ts asks of those that live in Node. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { errorOf } from '../testing/error-of.js';
import type { Engine } from './engine.js';
import { hostTensor } from './host-tensor.js';
import { productFeeds as feeds, model, node, port, product, sourceOf } from './test-models.js';
import { createWebEngine } from './web.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createWebEngine();
});
afterAll(() => engine.close());

it('runs, times and profiles', async () => {
  expect(engine).toMatchObject({ name: 'onnxruntime-web', target: 'wasm', threads: 1 });
  expect(engine.version).toMatch(/^\d+\.\d+\.\d+/);
  const session = await engine.createSession(product);
  expect(session.inputs).toEqual([{ name: 'x', dataType: 'float', dims: ['N', 64] }]);
  const { y } = await session.run(feeds);
  expect(y?.data).toEqual(new Float32Array(32 * 64).fill(128));
  expect(feeds.x.data).toHaveLength(32 * 64);
  const [times] = await engine.time([{ session, feeds }], { warmup: 1, rounds: 3 });
  expect(times).toHaveLength(3);
  await session.release();
  const rows = await engine.profile(product, feeds, { runs: 2 });
  expect(rows).toMatchObject([{ opType: 'MatMul', calls: 2 }]);
});

it('gives float16 as 16-bit patterns', async () => {
  const half = sourceOf(
    model({
      nodes: [node('Identity', ['x'], ['y'])],
      inputs: [port('x', 'float16', [2])],
      outputs: [port('y', 'float16', [2])],
    }),
  );
  const session = await engine.createSession(half);
  const { y } = await session.run({
    x: hostTensor('float16', [2], Uint16Array.of(0x3c00, 0xc000)),
  });
  expect(y).toEqual(hostTensor('float16', [2], Uint16Array.of(0x3c00, 0xc000)));
  await session.release();
});

it('says what a page cannot do', async () => {
  expect((await errorOf(engine.createSession({ path: 'model.onnx' }))).hint).toContain('bytes');
  expect((await errorOf(engine.optimized(product))).code).toBe('unsupported');
  expect((await errorOf(createWebEngine({ threads: 2 }))).hint).toContain('Cross-Origin');
  expect((await errorOf(engine.createSession({ parts: [Uint8Array.of(1, 2, 3)] }))).code).toBe(
    'engine',
  );
});

it('cancels what waits, and ends what is open', async () => {
  const own = await createWebEngine();
  const session = await own.createSession(product);
  const controller = new AbortController();
  const first = session.run(feeds);
  const second = session.run(feeds, undefined, { signal: controller.signal });
  controller.abort();
  expect((await errorOf(second)).code).toBe('aborted');
  await first;
  await own.close();
  expect((await errorOf(session.run(feeds))).code).toBe('engine');
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf } from '../testing/error-of.js';
import type { Engine } from './engine.js';
import { createEngineFor } from './node-targets.js';
import { createWasmEngine } from './node-wasm.js';
import { productFeeds as feeds, product } from './test-models.js';

describe('onnxruntime-web in Node', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createWasmEngine();
  });
  afterAll(() => engine.close());

  it('says what it is', () => {
    expect(engine).toMatchObject({ name: 'onnxruntime-web', target: 'wasm', threads: 1 });
    expect(engine.version).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('computes with several threads, and does not time them against one', async () => {
    const one = await engine.createSession(product);
    const two = await engine.createSession(product, { threads: 2 });
    const expected = new Float32Array(32 * 64).fill(128);
    for (const session of [one, two]) {
      expect((await session.run(feeds)).y?.data).toEqual(expected);
    }
    const both = [one, two].map((session) => ({ session, feeds }));
    const error = await errorOf(engine.time(both, { warmup: 0, rounds: 1 }));
    expect(error.code).toBe('unsupported');
    expect(error.message).toContain('threads');
    const [times] = await engine.time(both.slice(1), { warmup: 0, rounds: 3 });
    expect(times).toHaveLength(3);
    await one.release();
    await two.release();
  });

  it('refuses what WASM cannot do', async () => {
    expect((await errorOf(engine.optimized(product))).code).toBe('unsupported');
    expect((await errorOf(createWasmEngine({ threads: 65 }))).code).toBe('usage');
    // Only the length of the parts is looked at; the same gigabyte thrice.
    const gigabyte = new Uint8Array(2 ** 30);
    const error = await errorOf(engine.createSession({ parts: [gigabyte, gigabyte, gigabyte] }));
    expect(error.code).toBe('unsupported');
    expect(error.message).toContain(`${3 * 2 ** 30} bytes`);
    expect(error.hint).toContain('4 GiB');
  });
});

describe('createEngineFor', () => {
  it('gives the engine of a target', async () => {
    for (const target of ['node', 'wasm'] as const) {
      const engine = await createEngineFor(target, { threads: 1 });
      expect(engine.target).toBe(target);
      await engine.close();
    }
    expect((await errorOf(createEngineFor('webgpu'))).code).toBe('unsupported');
  });
});

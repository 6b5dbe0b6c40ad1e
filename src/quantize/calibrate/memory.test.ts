import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, HostTensor } from '../../engine/engine.js';
import { createNodeEngine } from '../../engine/node.js';
import { parseModel } from '../../graph/parse.js';
import { printModel } from '../../graph/print.js';
import { applyPass } from '../../pass.js';
import { randomSamples, samplesOf } from '../../testing/node-static.js';
import { staticScheme } from '../static.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createNodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

/**
 * An engine whose results spoil: when a run starts, what the runs before the last returned is
 * overwritten. Whoever keeps tensors of all samples to look at them later computes nonsense.
 */
function spoiling(real: Engine): { engine: Engine; runs: () => number } {
  let runs = 0;
  const engine: Engine = Object.create(real, {
    createSession: {
      value: async (...args: Parameters<Engine['createSession']>) => {
        const session = await real.createSession(...args);
        const fresh: Record<string, HostTensor>[] = [];
        return Object.create(session, {
          release: { value: () => session.release() },
          inputs: { value: session.inputs },
          outputs: { value: session.outputs },
          run: {
            value: async (...runArgs: Parameters<typeof session.run>) => {
              runs++;
              while (fresh.length > 1) {
                for (const { data } of Object.values(fresh.shift()!)) {
                  // What was freed has no elements any more.
                  if (data instanceof Float32Array && data.length > 0) data.fill(12345);
                }
              }
              const results = await session.run(...runArgs);
              fresh.push(results);
              return results;
            },
          },
        });
      },
    },
  });
  for (const method of ['optimized', 'profile', 'time', 'close'] as const) {
    Object.defineProperty(engine, method, { value: (real[method] as () => unknown).bind(real) });
  }
  return { engine, runs: () => runs };
}

test.each(['min-max', 'moving-average', 'percentile', 'entropy', 'mse'] as const)(
  '%s needs no tensors but those of the last two samples',
  async (calibrator) => {
    const model = parseModel(`main (float[1,4,8,8] x) => (float[1,4,8,8] y)
      < float[4,4,3,3] w = normal(seed=1, std=0.2), float[4,4,3,3] v = normal(seed=2, std=0.2) >
      { p = Conv<pads = [1,1,1,1]>(x, w) q = Relu(p) y = Conv<pads = [1,1,1,1]>(q, v) }`);
    const feeds = await randomSamples(engine, model, 12);
    const samples = samplesOf(feeds);
    const quantized = async (given: Engine) => {
      const context = { engine: given, samples };
      const { model: small } = await applyPass(model, staticScheme, { calibrator }, context);
      return printModel(small, { weights: 'full' });
    };
    const spoiled = spoiling(engine);
    expect(await quantized(spoiled.engine)).toBe(await quantized(engine));
    expect(spoiled.runs()).toBeGreaterThanOrEqual(2 * feeds.length);
  },
);

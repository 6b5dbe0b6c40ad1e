/**
 * What holds for every statically quantized model, and how far its outputs may be from the float
 * ones. For tests only; not part of the library's interface.
 */
import { expect } from 'vitest';
import type { Engine, Feeds } from '../engine/engine.js';
import { float32Of, randomFeeds } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { applyPass, type PassContext } from '../pass.js';
import { staticScheme } from '../quantize/static.js';
import { optimizedOps, runModel, snr, usedTooEarly } from './node-models.js';
import { safeWeights } from './weight-bits.js';

export type StaticInput = Parameters<typeof applyPass<typeof staticScheme.options>>[2];

export type Samples = () => AsyncIterable<Feeds>;

/** Samples that are in memory already. */
export function samplesOf(feeds: readonly Feeds[]): Samples {
  return async function* () {
    yield* feeds;
  };
}

/** Seeded standard normal samples for the model's inputs; `dims` as for `randomFeeds`. */
export async function randomSamples(
  engine: Engine,
  model: Model,
  count = 8,
  dims: Readonly<Record<string, number>> = {},
): Promise<Feeds[]> {
  const session = await engine.createSession(await modelSource(model));
  const { inputs } = session;
  await session.release();
  return Array.from({ length: count }, (_, seed) => randomFeeds(inputs, { seed, dims }));
}

/** The quantized model, after the checks that hold for every model. Integers everywhere: the
 * models of tests are so small that float would be faster. */
export async function quantizeStatic(
  engine: Engine,
  text: string | Model,
  options: StaticInput = {},
  samples?: readonly Feeds[],
  context: Partial<PassContext> = {},
) {
  const model = typeof text === 'string' ? parseModel(text) : text;
  const before = await printModel(model, { weights: 'full' });
  const feeds = samples ?? (await randomSamples(engine, model));
  const given = { engine, samples: samplesOf(feeds), ...context };
  const everywhere = { placement: 'all' as const, ...(await safeWeights(engine, options)) };
  const { model: small, report } = await applyPass(model, staticScheme, everywhere, given);
  expect(await printModel(model, { weights: 'full' }), 'the model given').toBe(before);
  for (const port of ['inputs', 'outputs'] as const) {
    expect(small.graph[port].map(({ name }) => name)).toEqual(
      model.graph[port].map(({ name }) => name),
    );
  }
  expect(usedTooEarly(small.graph), 'values used before they are made').toEqual([]);
  // Names of values are unique by construction of a graph; those of nodes, which reports and
  // patterns go by, are not.
  const names = [...small.allNodes()].map(({ name }) => name).filter((name) => name !== '');
  expect(new Set(names).size, 'names of nodes').toBe(names.length);
  // Every operator that was there before is accounted for, in the graph and its subgraphs.
  const told = new Set([...report.changed, ...report.skipped].map(({ node }) => node));
  for (const node of model.allNodes()) {
    expect(told.has(node.label), node.label).toBe(true);
  }
  for (const { node, reason } of report.skipped) {
    expect(reason, node).toMatch(/^\S.*[^.]$/);
  }
  return { model, small, report, feeds };
}

/** Operators of the graph that the runtime makes of the model, but for the borders of integers. */
export async function integerOps(engine: Engine, model: Model): Promise<Record<string, number>> {
  const { QuantizeLinear: _q, DequantizeLinear: _d, ...ops } = await optimizedOps(engine, model);
  return ops;
}

/** Signal to noise of every output, in dB, on the feeds given, with and without fusions. */
export async function expectClose(
  engine: Engine,
  model: Model,
  small: Model,
  feeds: Feeds,
  leastSnr: number,
): Promise<void> {
  const { outputs } = await runModel(engine, model, feeds, 'disabled');
  for (const optimization of ['disabled', 'all'] as const) {
    const results = await runModel(engine, small, feeds, optimization);
    for (const [name, expected] of Object.entries(outputs)) {
      const actual = results.outputs[name]!;
      expect(actual.dims, name).toEqual(expected.dims);
      expect(actual.dataType, name).toBe(expected.dataType);
      const ratio = snr(float32Of(expected), float32Of(actual));
      expect(ratio, `SNR of ${name}, ${optimization}`).toBeGreaterThan(leastSnr);
    }
  }
}

/**
 * What holds for every dynamically quantized model, and how far its outputs may be from the float
 * ones. For tests only; not part of the library's interface.
 */
import { expect } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { sumsSaturate } from '../engine/saturation.js';
import type { Model } from '../graph/model.js';
import { parseModel } from '../graph/parse.js';
import { printModel } from '../graph/print.js';
import { applyPass } from '../pass.js';
import { dynamic } from '../quantize/dynamic.js';
import { expectedNoise, rms, runModel, usedTooEarly } from './node-models.js';
import { safeWeights } from './weight-bits.js';

export type QuantizeOptions = Parameters<typeof applyPass<typeof dynamic.options>>[2];

/** The quantized model, after the checks that hold for every model. */
export async function quantizeDynamic(engine: Engine, text: string, given: QuantizeOptions = {}) {
  const options = await safeWeights(engine, given);
  const model = parseModel(text);
  const before = await printModel(model, { weights: 'full' });
  const { model: small, report } = await applyPass(model, dynamic, options, { engine });
  expect(await printModel(model, { weights: 'full' }), 'the model given').toBe(before);
  expect(small.graph.outputs.map(({ name }) => name)).toEqual(
    model.graph.outputs.map(({ name }) => name),
  );
  expect(usedTooEarly(small.graph), 'values used before they are made').toEqual([]);
  const once = await printModel(small, { weights: 'full' });
  const twice = await applyPass(small, dynamic, options, { engine });
  expect(await printModel(twice.model, { weights: 'full' }), 'the second run').toBe(once);
  expect(twice.report.changed).toEqual([]);
  // Every node of the result that was there before is accounted for.
  const names = new Set([...small.allNodes()].map((node) => node.label));
  for (const node of model.allNodes()) {
    const isReported = [...report.changed, ...report.skipped].some(
      (row) => row.node === node.label,
    );
    expect(isReported || !names.has(node.label), node.label).toBe(true);
  }
  return { model, small, report };
}

/** The error on random inputs beside the one that rounding must make: `terms` products a sum. */
export async function expectNoise(
  engine: Engine,
  model: Model,
  small: Model,
  x: string,
  w: string,
  terms: number,
): Promise<void> {
  const { feeds, outputs } = await runModel(engine, model, undefined, 'disabled');
  const name = model.graph.outputs[0]!.name;
  const weights = await model.graph.value(w).initializer!.floats();
  const expected = expectedNoise(float32Of(feeds[x]!), weights, terms);
  // Weights of 7 bits have twice the noise, activations what they had.
  const most = (await sumsSaturate(engine)) ? 1.6 * Math.sqrt((1 + 4) / 2) : 1.6;
  for (const optimization of ['disabled', 'all'] as const) {
    const results = await runModel(engine, small, feeds, optimization);
    expect(results.outputs[name]!.dims).toEqual(outputs[name]!.dims);
    expect(results.outputs[name]!.dataType).toBe(outputs[name]!.dataType);
    const noise = rms(float32Of(outputs[name]!), float32Of(results.outputs[name]!));
    expect(noise).toBeLessThan(most * expected);
    expect(noise).toBeGreaterThan(0);
  }
}

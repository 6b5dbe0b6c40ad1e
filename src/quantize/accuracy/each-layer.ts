/**
 * The way over the layers of a model that passes on weights share: finds them, gathers what is
 * known of their inputs a bounded number of bytes at a time, and visits one after the other.
 * Changes nothing itself.
 */
import { inferShapes } from '../../engine/shapes.js';
import { throwIfAborted } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { type InputMoments, inputMoments } from '../../measure/input-moments.js';
import { type PassContext, ReportBuilder, requireEngine } from '../../pass.js';
import { findLayers, type Layer, type LayerOptions, passesOf } from './layers.js';

/** @returns a report on the layers that are left out, to which the visits have added theirs */
export async function eachLayer(
  model: Model,
  pass: string,
  options: LayerOptions,
  context: PassContext,
  visit: (layer: Layer, report: ReportBuilder) => Promise<void>,
): Promise<ReportBuilder> {
  return over(model, pass, options, context, async (layers, report) => {
    await eachOf(layers, pass, context, (layer) => visit(layer, report));
  });
}

/** As `eachLayer`, with the moments of each layer's input over the samples. */
export async function eachLayerWithMoments(
  model: Model,
  pass: string,
  options: LayerOptions,
  context: PassContext,
  visit: (layer: Layer, report: ReportBuilder, moments: InputMoments) => Promise<void>,
): Promise<ReportBuilder> {
  return over(model, pass, options, context, async (layers, report) => {
    const requests = layers.map(({ linear, layout }) => ({
      name: linear.node.input(linear.dataIndex).name,
      layout,
    }));
    const moments = await inputMoments(model, requests, context, pass);
    await eachOf(layers, pass, context, (layer, at) => visit(layer, report, moments[at]!));
  });
}

async function over(
  model: Model,
  pass: string,
  options: LayerOptions,
  context: PassContext,
  visitAll: (layers: readonly Layer[], report: ReportBuilder) => Promise<void>,
): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  await inferShapes(requireEngine(context, pass), model);
  for (const layers of passesOf(findLayers(model, options, report))) await visitAll(layers, report);
  return report;
}

async function eachOf(
  layers: readonly Layer[],
  pass: string,
  { progress, signal }: PassContext,
  visit: (layer: Layer, at: number) => Promise<void>,
): Promise<void> {
  const task = progress.task(`${pass}: layers`, layers.length);
  try {
    for (const [at, layer] of layers.entries()) {
      throwIfAborted(signal);
      await visit(layer, at);
      task.update(at + 1);
    }
  } finally {
    task.end();
  }
}

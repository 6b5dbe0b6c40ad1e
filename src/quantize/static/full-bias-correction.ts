/**
 * Bias correction in order: the mean of every layer's output is measured in the quantized model
 * with all layers before it quantized and corrected, compared with the float model, and the
 * difference taken off the bias. Starts where bias-correction.ts, the fast form, ends; unlike that
 * it sees what earlier layers pass on, and the borders of padded convolutions.
 *
 * Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
 * (2019), appendix D, empirical bias correction. Layers that do not depend on each other are
 * measured in one pass over the samples, and each pass runs only what leads to them.
 */
import type { Feeds } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import { removeDead } from '../../graph/dead.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type PassContext, requireEngine } from '../../pass.js';
import { addMean, addRows } from './bias-correction.js';
import type { TakeOff } from './write.js';

export interface CorrectedLayer {
  /** In the quantized model. */
  readonly node: Node;
  readonly takeOff: TakeOff;
  /** Axis of the channels in its output, and the rank of that. */
  readonly axis: number;
  readonly rank: number;
}

/**
 * @param float the model before it was quantized; outputs of layers have the same names in both
 * @returns passes over the samples that it took
 */
export async function correctBiases(
  float: Model,
  quantized: Model,
  layers: readonly CorrectedLayer[],
  samples: () => AsyncIterable<Feeds>,
  context: PassContext,
): Promise<number> {
  const levels = levelsOf(quantized, layers);
  const task = context.progress.task('bias correction: levels', levels.length + 1);
  try {
    const expected = await outputMeans(float, layers, samples, context);
    task.update(1);
    for (const [at, level] of levels.entries()) {
      const found = await outputMeans(quantized, level, samples, context);
      for (const { node, takeOff } of level) {
        const goal = expected.get(node.output().name)!;
        takeOff(found.get(node.output().name)!.map((mean, channel) => mean - goal[channel]!));
      }
      task.update(at + 2);
    }
  } finally {
    task.end();
  }
  return levels.length + 1;
}

/** Layers by the number of layers on the longest path to them. */
function levelsOf(model: Model, layers: readonly CorrectedLayer[]): CorrectedLayer[][] {
  const layerOf = new Map(layers.map((layer) => [layer.node, layer]));
  const depths = new Map<Value, number>();
  const levels: CorrectedLayer[][] = [];
  for (const node of model.graph.nodes) {
    const taken = [node, ...node.subgraphs.flatMap((graph) => [...graph.allNodes()])];
    let depth = 0;
    for (const { inputs } of taken) {
      for (const input of inputs) if (input) depth = Math.max(depth, depths.get(input) ?? 0);
    }
    const layer = layerOf.get(node);
    if (layer) {
      const level = (levels[depth++] ??= []);
      level.push(layer);
    }
    for (const output of node.outputs) if (output) depths.set(output, depth);
  }
  return levels;
}

/** Mean of every output channel over the samples, by the name of the output. */
async function outputMeans(
  model: Model,
  layers: readonly CorrectedLayer[],
  samples: () => AsyncIterable<Feeds>,
  context: PassContext,
): Promise<Map<string, Float64Array>> {
  const engine = requireEngine(context, 'bias correction');
  const probe = cloneModel(model);
  probe.graph.outputs.length = 0;
  const ports = layers.map((layer) => {
    const { name } = layer.node.output();
    return { name, mean: addMean(probe.graph.value(name), layer) };
  });
  removeDead(probe.graph);
  const session = await engine.createSession(await modelSource(probe));
  const sums = new Map<string, { sum: Float64Array; rows: number }>();
  try {
    for await (const feeds of samples()) {
      throwIfAborted(context.signal);
      const results = await session.run(feeds);
      for (const { name, mean } of ports) {
        const rows = results[mean]!;
        const channels = rows.dims.at(-1)!;
        const seen = sums.get(name) ?? { sum: new Float64Array(channels), rows: 0 };
        sums.set(name, seen);
        addRows(seen.sum, float32Of(rows));
        seen.rows += rows.data.length / channels;
      }
    }
  } finally {
    await session.release();
  }
  return new Map(Array.from(sums, ([name, { sum, rows }]) => [name, sum.map((s) => s / rows)]));
}

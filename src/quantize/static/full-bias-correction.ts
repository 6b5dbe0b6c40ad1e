/**
 * Bias correction in order: the mean of every layer's output is measured in the quantized model
 * with all layers before it quantized and corrected, compared with the float model, and the
 * difference taken off the bias. Starts where bias-correction.ts, the fast form, ends; unlike that
 * it sees what earlier layers pass on, and the borders of padded convolutions. Positions that the
 * clip behind a layer levels in both models do not count: their errors go nowhere.
 *
 * Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
 * (2019), appendix D, empirical bias correction. Layers that do not depend on each other are
 * measured in one pass over the samples, and each pass runs only what leads to them.
 */
import type { EngineSession, Feeds, HostTensor, ModelSource } from '../../engine/engine.js';
import { freeTensors } from '../../engine/free-tensors.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import { removeDead } from '../../graph/dead.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { tensorType } from '../../graph/value-type.js';
import type { Bounds } from '../../ops/integer-roles.js';
import { type PassContext, requireEngine } from '../../pass.js';
import type { TakeOff } from './write.js';

export interface CorrectedLayer {
  /** In the quantized model. */
  readonly node: Node;
  /** Its output in the float model: where that is an output of the model, Q took its name over. */
  readonly floatName: string;
  readonly takeOff: TakeOff;
  /** Axis of the channels in its output. */
  readonly axis: number;
  /** Of the clip behind it; infinite without one. */
  readonly bounds: Bounds;
}

/**
 * @param float the model before it was quantized
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
  const task = context.progress.task('bias correction: levels', levels.length);
  try {
    for (const [at, level] of levels.entries()) {
      const errors = await levelErrors(float, quantized, level, samples, context);
      for (const [i, { takeOff }] of level.entries()) takeOff(errors[i]!);
      task.update(at + 1);
    }
  } finally {
    task.end();
  }
  return levels.length;
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

/** Mean errors of the level's channels where they count: [channels] by layer. */
async function levelErrors(
  float: Model,
  quantized: Model,
  level: readonly CorrectedLayer[],
  samples: () => AsyncIterable<Feeds>,
  context: PassContext,
): Promise<Float64Array[]> {
  const engine = requireEngine(context, 'bias correction');
  const goals = level.map(({ floatName }) => floatName);
  const names = level.map(({ node }) => node.output().name);
  const sources = [await cutAt(float, goals), await cutAt(quantized, names)];
  const sessions: EngineSession[] = [];
  const errors = level.map(() => new MeanError());
  try {
    for (const source of sources) sessions.push(await engine.createSession(source));
    for await (const feeds of samples()) {
      throwIfAborted(context.signal);
      const expected = await sessions[0]!.run(feeds, goals);
      const found = await sessions[1]!.run(feeds, names);
      for (const [at, layer] of level.entries()) {
        errors[at]!.add(layer, expected[goals[at]!]!, found[names[at]!]!);
      }
      freeTensors(expected);
      freeTensors(found);
    }
  } finally {
    for (const session of sessions) await session.release();
  }
  return errors.map((error) => error.mean());
}

/** The part of the model that makes these values. */
async function cutAt(model: Model, names: readonly string[]): Promise<ModelSource> {
  const probe = cloneModel(model);
  probe.graph.outputs.length = 0;
  for (const name of names) {
    const value = probe.graph.value(name);
    value.type ??= tensorType('float');
    probe.graph.outputs.push(value);
  }
  removeDead(probe.graph);
  return await modelSource(probe);
}

/** Per channel, over the positions that the activation behind does not level. */
class MeanError {
  #sums = new Float64Array();
  #counts = new Float64Array();

  add({ axis, bounds }: CorrectedLayer, expected: HostTensor, found: HostTensor): void {
    const { dims } = expected;
    const channels = dims[axis]!;
    if (this.#sums.length === 0) {
      this.#sums = new Float64Array(channels);
      this.#counts = new Float64Array(channels);
    }
    const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    const [goals, values] = [float32Of(expected), float32Of(found)];
    const { min, max } = bounds;
    for (let start = 0, block = 0; start < goals.length; start += inner, block++) {
      const channel = block % channels;
      let sum = 0;
      let count = 0;
      for (let i = start; i < start + inner; i++) {
        const goal = goals[i]!;
        const value = values[i]!;
        if ((goal <= min && value <= min) || (goal >= max && value >= max)) continue;
        sum += Math.max(min, Math.min(max, value)) - Math.max(min, Math.min(max, goal));
        count++;
      }
      this.#sums[channel]! += sum;
      this.#counts[channel]! += count;
    }
  }

  mean(): Float64Array {
    return this.#sums.map((sum, channel) => sum / Math.max(1, this.#counts[channel]!));
  }
}

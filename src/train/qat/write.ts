/**
 * Writes trained numbers into the quantized model that they come from: the same nodes, names and
 * types, other integers and scales. Rounds as the trained form does, with scales that the runtime
 * itself computed, so that both hold the same numbers.
 */
import type { Engine, HostTensor } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { cloneModel } from '../../graph/clone.js';
import { Emitter } from '../../graph/emitter.js';
import { Model } from '../../graph/model.js';
import { tensorType } from '../../graph/value-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { quantizeOnGrid } from '../../quantize/integers.js';
import { biasCodes, biasScales, makeRoomForBias } from '../../quantize/static/bias-scale.js';
import type { Weights } from '../loop.js';
import type { TrainableForm } from './form.js';

/** A copy of the quantized model with these weights of its trainable form. */
export async function writeTrained(
  model: Model,
  form: TrainableForm,
  weights: Weights,
  engine: Engine,
): Promise<Model> {
  const copy = cloneModel(model);
  const { graph } = copy;
  const scales = await scalesOf(form, weights, engine);
  const scaleOf = async (name: string) =>
    scales.get(name) ?? (await graph.value(name).initializer!.floats());
  const floatsOf = async (codes: string) => {
    const name = form.floats.get(codes)!;
    return weights[name]
      ? float32Of(weights[name])
      : await form.model.graph.value(name).initializer!.floats();
  };
  const store = (name: string, content: ArrayLike<number>) => {
    const value = graph.value(name);
    const { dataType, dims } = value.initializer!;
    value.initializer = Tensor.of(dataType, dims, Array.from(content));
  };
  for (const { scale } of form.sites.activations) store(scale, await scaleOf(scale));
  const stepsOf = new Map<string, Float32Array>();
  for (const { codes, scale } of form.sites.weights) stepsOf.set(codes, await scaleOf(scale));
  for (const { codes, scale, product } of form.sites.biases) {
    const bias = await floatsOf(codes);
    const steps = product && stepsOf.get(product.weight.codes);
    let own = await scaleOf(scale);
    if (product && steps) {
      const [activation] = await scaleOf(product.activation);
      // No channel counts as silent: its float weights may be close to a step.
      makeRoomForBias(steps, bias, activation!, []);
      own = biasScales(activation!, steps);
    }
    store(scale, own);
    store(codes, biasCodes(bias, own));
  }
  for (const { codes, scale, layout, format, zeroPoints } of form.sites.weights) {
    const grid = { scales: stepsOf.get(codes)!, zeroPoints };
    store(codes, quantizeOnGrid(await floatsOf(codes), layout, format, grid));
    store(scale, grid.scales);
  }
  const replaced = new Set([...form.floats.values(), ...form.factors.values()]);
  for (const [name, { dims, data }] of Object.entries(weights)) {
    if (replaced.has(name)) continue;
    graph.value(name).initializer = Tensor.of('float', dims, data as Float32Array);
  }
  return copy;
}

/** The scales after training, by name, as the runtime computes them. */
async function scalesOf(
  { model: { graph }, factors }: TrainableForm,
  weights: Weights,
  engine: Engine,
): Promise<Map<string, Float32Array>> {
  const small = new Model({ opsets: [['', 13]] });
  const e = new Emitter(small.graph);
  const feeds: Record<string, HostTensor> = {};
  const outputs = new Map<string, string>();
  for (const [scale, factor] of factors) {
    const given = weights[factor];
    if (!given) continue;
    const input = small.graph.addInput(factor, tensorType('float', given.dims));
    const base = small.graph.addInitializer(scale, graph.value(scale).initializer!);
    const output = e.mul(base, e.op('Exp', [input]));
    output.type = tensorType('float', given.dims);
    small.graph.outputs.push(output);
    outputs.set(scale, output.name);
    feeds[factor] = given;
  }
  if (outputs.size === 0) return new Map();
  const session = await engine.createSession(await modelSource(small));
  try {
    const results = await session.run(feeds);
    return new Map(Array.from(outputs, ([scale, name]) => [scale, float32Of(results[name]!)]));
  } finally {
    await session.release();
  }
}

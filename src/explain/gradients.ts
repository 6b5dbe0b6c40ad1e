/**
 * One backward pass for all explanations by gradients: the slope of a weighted sum of the elements
 * of one value (the logits, as a rule), where the weights are an input of the model. With the slope
 * of the loss as weights it is the gradient of the loss, with a 1 at a class that of its logit, for
 * each row of a batch by itself, since rows do not see each other.
 */
import type { Engine, Feeds, HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { cloneModel } from '../graph/clone.js';
import { removeDead } from '../graph/dead.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { dataTypes } from '../onnx/data-type.js';
import { differentiate } from '../train/differentiate.js';

/** Input with a number for each element of the value that is differentiated. */
const seedName = 'explain/seed';

/** A prepared model (see train/prepare.ts) and what runs it. */
export interface Runnable {
  readonly engine: Engine;
  readonly model: Model;
  readonly signal?: AbortSignal | undefined;
}

/** A model with gradients among its values. */
export interface Backward extends Runnable {
  /** Names of the gradients by name of the value; a value without one does not move the objective. */
  readonly gradients: ReadonlyMap<string, string>;
}

/** Inputs that are floats: those that a gradient can be taken by. */
export function floatInputs({ graph }: Model): Value[] {
  return graph.inputs.filter(
    ({ dataType, initializer }) =>
      !initializer && dataType !== undefined && dataTypes[dataType].kind === 'float',
  );
}

/**
 * Gradients of `objective` by the values `wanted`.
 * Throws NotDifferentiable (`unsupported`) with every node that is in the way.
 */
export async function differentiateValue(
  { engine, model: source, signal }: Runnable,
  objective: string,
  wanted: readonly string[],
): Promise<Backward> {
  const model = cloneModel(source);
  const { graph } = model;
  const value = graph.value(objective);
  const e = new Emitter(graph, { scope: 'explain' });
  const seed = graph.addInput(seedName, tensorType('float', value.dims));
  const sum = e.reduce('ReduceSum', e.mul(e.cast(value), seed), undefined, false);
  const loss = 'explain/objective';
  graph.addNode({ opType: 'Identity', inputs: [sum], outputs: [loss] });
  const { gradients } = await differentiate(
    model,
    { loss, wanted: [...new Set(wanted)], signal },
    { engine },
  );
  return {
    engine,
    model,
    signal,
    gradients: new Map([...gradients].map(([name, { name: gradient }]) => [name, gradient])),
  };
}

/**
 * An amount times a slope. Where the amount is zero nothing is contributed, also where there is no
 * slope: that of a root at zero, which silence reaches, is not a number.
 */
export function contribution(e: Emitter, amount: Value, slope: Value): Value {
  return e.where(e.op('Equal', [amount, 0]), 0, e.mul(amount, slope));
}

export interface GradientSession {
  /** One run; `seed` has an element per element of the objective, whose dims are given. */
  run(
    feeds: Feeds,
    seed: Float32Array,
    dims: readonly number[],
  ): Promise<Record<string, HostTensor>>;
  release(): Promise<void>;
}

/**
 * A session with the outputs that `read` appends to a copy of the model; gradients that nothing
 * reads are not computed.
 */
export async function openGradients(
  { engine, model, signal }: Backward,
  read: (e: Emitter) => readonly Value[],
): Promise<GradientSession> {
  const copy = cloneModel(model);
  const { graph } = copy;
  const outputs = read(new Emitter(graph, { scope: 'explain' }));
  graph.outputs.splice(0, graph.outputs.length, ...new Set(outputs));
  removeDead(graph);
  const session = await engine.createSession(await modelSource(copy), { signal });
  return {
    run: (feeds, seed, dims) =>
      session.run({ ...feeds, [seedName]: hostTensor('float', dims, seed) }),
    release: () => session.release(),
  };
}

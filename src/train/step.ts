/**
 * The training step as a model: weights, optimizer state and a batch go in; the loss, new weights
 * and new state come out. Standard inference operators only, so that it runs wherever ONNX Runtime
 * runs. Knows no data and no schedule.
 */
import type { Engine, HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import type { Tensor } from '../onnx/tensor.js';
import { appendLoss, type LossTerm } from './append-loss.js';
import { differentiate } from './differentiate.js';
import { type OptimizerOptions, optimizerNamed } from './optimizers/index.js';
import { trainableWeights } from './trainable.js';

export interface StepOptions {
  /** Summed with their weights. */
  readonly losses: readonly LossTerm[];
  readonly optimizer: OptimizerOptions;
  /** Patterns of nodes whose parameters stay. */
  readonly freeze?: readonly string[] | undefined;
  /** Largest Euclidean norm of all gradients together; they shrink alike above it. Default none. */
  readonly clipNorm?: number | undefined;
  /** Names of pruned weights: what is zero in them stays zero. */
  readonly masked?: ReadonlySet<string> | undefined;
  /** Decay of a running mean of the weights, which is then the result. In [0, 1); 0 for none. */
  readonly averaging?: number | undefined;
  readonly batchNormalization?: 'frozen' | 'training' | undefined;
  /** What training may change, and how it moves. Default the parameters, all alike. */
  readonly groups?: ReadonlyMap<string, ParameterGroup> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How one tensor moves, where it is not like the others. */
export interface ParameterGroup {
  /** Factors on the learning rate; their dims broadcast to those of the tensor. */
  readonly rate?: HostTensor | undefined;
  /** Factors on the gradient, behind the clipping of the norm; dims as those of the rate. */
  readonly gradientFactors?: HostTensor | undefined;
  /** Whether weight decay may pull it. */
  readonly decays?: boolean | undefined;
}

export interface TrainingStep {
  readonly model: Model;
  /** Inputs that carry over from step to step, with their first content. */
  readonly state: ReadonlyMap<string, HostTensor>;
  /** The output that is the next content of each input of `state`. */
  readonly next: ReadonlyMap<string, string>;
  /** Scalar inputs: the learning rate, and the number of the step from 1. */
  readonly learningRate: string;
  readonly step: string;
  /** Scalar output. */
  readonly loss: string;
  /** By weight of the model: the input of `state` that holds what training ends with. */
  readonly results: ReadonlyMap<string, string>;
  /** Parameters that do not change, with the reason. */
  readonly frozen: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * @param model simplified, with an open batch (see openBatch); it is not changed
 * @throws PareError `unsupported` when nothing can be trained or a gradient is missing
 * @example const step = await buildStep(student, { losses, optimizer }, engine);
 */
export async function buildStep(
  model: Model,
  options: StepOptions,
  engine: Engine,
): Promise<TrainingStep> {
  const copy = cloneModel(model);
  const { graph } = copy;
  const loss = appendLoss(copy, options.losses);
  const found = options.groups ? undefined : trainableWeights(copy, options.freeze);
  const frozen = found?.frozen.map(({ value: { name }, reason }) => ({ name, reason })) ?? [];
  const wanted = found?.weights.map(({ name }) => name) ?? [...options.groups!.keys()];
  const { gradients, stateUpdates } = await differentiate(
    copy,
    {
      loss: loss.name,
      wanted,
      batchNormalization: options.batchNormalization ?? 'frozen',
      signal: options.signal,
    },
    { engine },
  );
  const state = new Map<string, HostTensor>();
  const next = new Map<string, string>();
  const results = new Map<string, string>();
  const e = new Emitter(graph, { scope: 'step' });
  const learningRate = graph.addInput(graph.freshName('learning_rate'), tensorType('float', []));
  const step = graph.addInput(graph.freshName('step'), tensorType('float', []));
  const outputs: Value[] = [loss];
  const carry = (input: Value, after: Value, content: HostTensor) => {
    state.set(input.name, content);
    // One value may be the next content of two inputs, but an output of a graph only once.
    const own = outputs.includes(after) ? e.op('Identity', [after]) : after;
    next.set(input.name, own.name);
    outputs.push(own);
  };
  const trained: { weight: Value; gradient: Value; content: HostTensor }[] = [];
  for (const name of wanted) {
    const gradient = gradients.get(name);
    const weight = graph.value(name);
    if (!gradient) {
      frozen.push({ name, reason: 'the loss does not depend on it, or not smoothly' });
      continue;
    }
    const content = await contentOf(weight.initializer!);
    trained.push({
      weight,
      gradient: options.masked?.has(name) ? masked(e, gradient, content) : gradient,
      content,
    });
  }
  if (trained.length === 0) {
    throw new PareError('unsupported', 'train: the loss depends on no weight', {
      hint: `"${frozen[0]?.name}": ${frozen[0]?.reason}`,
    });
  }
  const shrink = options.clipNorm
    ? clipFactor(
        e,
        trained.map(({ gradient }) => gradient),
        options.clipNorm,
      )
    : undefined;
  const optimizer = optimizerNamed(options.optimizer.optimizer);
  const slots = optimizer.slots(options.optimizer);
  for (const { weight, gradient, content } of trained) {
    const type = tensorType('float', content.dims);
    weight.initializer = undefined;
    weight.type = type;
    graph.inputs.push(weight);
    const own = slots.map(
      (slot) => [slot, graph.addInput(`${slot}/${weight.name}`, type)] as const,
    );
    const { rate, gradientFactors, decays = true } = options.groups?.get(weight.name) ?? {};
    const shrunk = shrink ? e.mul(gradient, shrink) : gradient;
    const update = optimizer.update({
      emitter: e,
      weight,
      gradient: gradientFactors ? e.mul(shrunk, constantOf(e, gradientFactors)) : shrunk,
      state: Object.fromEntries(own),
      learningRate: rate ? e.mul(learningRate, constantOf(e, rate)) : learningRate,
      step,
      weightDecay: decays ? decayOf(content, options.optimizer) : 0,
      options: options.optimizer,
    });
    carry(weight, update.weight, content);
    for (const [slot, input] of own) carry(input, update.state[slot]!, zerosLike(content));
    results.set(weight.name, weight.name);
    if (options.averaging) {
      const mean = graph.addInput(`average/${weight.name}`, type);
      const kept = e.mul(mean, options.averaging);
      carry(mean, e.add(kept, e.mul(update.weight, 1 - options.averaging)), content);
      results.set(weight.name, mean.name);
    }
  }
  for (const { before: statistic, after: updated } of stateUpdates) {
    const content = await contentOf(statistic.initializer!);
    statistic.initializer = undefined;
    statistic.type = tensorType('float', content.dims);
    graph.inputs.push(statistic);
    carry(statistic, updated, content);
    results.set(statistic.name, statistic.name);
  }
  graph.outputs.splice(0, graph.outputs.length, ...outputs);
  return {
    model: copy,
    state,
    next,
    learningRate: learningRate.name,
    step: step.name,
    loss: loss.name,
    results,
    frozen,
  };
}

/** Biases and norms, which have one dim, are not pulled towards zero. */
function decayOf({ dims }: HostTensor, { weightDecay }: OptimizerOptions): number {
  return dims.filter((dim) => dim > 1).length > 1 ? weightDecay : 0;
}

/** Where the weight is zero its gradient is, and so are momentum and all moments. */
function masked(e: Emitter, gradient: Value, { dims, data }: HostTensor): Value {
  const weights = data as Float32Array;
  if (!weights.includes(0)) return gradient;
  const mask = Uint8Array.from(weights, (weight) => (weight === 0 ? 0 : 1));
  return e.mul(gradient, e.cast(e.constant('uint8', dims, Array.from(mask))));
}

/** min(1, limit / norm) of all gradients as one vector (Pascanu et al. 2013, arXiv:1211.5063). */
function clipFactor(e: Emitter, gradients: readonly Value[], limit: number): Value {
  const squares = gradients.map((gradient) => e.op('ReduceSumSquare', [gradient], { keepdims: 0 }));
  const norm = e.op('Sqrt', [e.sum(squares)]);
  return e.op('Min', [e.div(e.scalar(limit), e.add(norm, 1e-12)), e.scalar(1)]);
}

function constantOf(e: Emitter, { dims, data }: HostTensor): Value {
  return e.constant('float', dims, Array.from(data as Float32Array));
}

async function contentOf(tensor: Tensor): Promise<HostTensor> {
  return hostTensor('float', tensor.dims, await tensor.floats());
}

function zerosLike({ dims, data }: HostTensor): HostTensor {
  return hostTensor('float', dims, new Float32Array(data.length));
}

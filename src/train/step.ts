/**
 * The training step as a model: weights, optimizer state and a batch go in; the loss, new weights
 * and new state come out. Operators of inference only, so that it runs wherever ONNX Runtime runs;
 * where the engine has blocked convolutions they take the place of Conv, and the step is then for
 * this engine. Knows no data and no schedule.
 */
import type { Engine, HostTensor } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { inferShapes } from '../engine/shapes.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { accumulate } from './accumulate.js';
import { appendLoss, type LossTerm } from './append-loss.js';
import { useBatchLast } from './batch-last.js';
import { findBlock } from './blocked/find-block.js';
import { useBlocks } from './blocked/use-blocks.js';
import { differentiate } from './differentiate.js';
import { fixBatch, useProducts } from './fix-shapes.js';
import { joinReshapes } from './join-reshapes.js';
import { type OptimizerOptions, optimizerNamed } from './optimizers/index.js';
import { trainableWeights } from './trainable.js';
import { slotDims, type Update, updateAll } from './update.js';

export interface StepOptions {
  /** Summed with their weights. */
  readonly losses: readonly LossTerm[];
  readonly optimizer: OptimizerOptions;
  /** Patterns of nodes whose parameters stay. */
  readonly freeze?: readonly string[] | undefined;
  /** Names of the parameters that train, of all that could. Default all. */
  readonly only?: ReadonlySet<string> | undefined;
  /** Largest Euclidean norm of all gradients together; they shrink alike above it. Default none. */
  readonly clipNorm?: number | undefined;
  /** Names of pruned weights: what is zero in them stays zero. */
  readonly masked?: ReadonlySet<string> | undefined;
  /** Names of weights whose zeros stay zero from the step on in which they became zero. */
  readonly sparse?: ReadonlySet<string> | undefined;
  /** Decay of a running mean of the weights, which is then the result. In [0, 1); 0 for none. */
  readonly averaging?: number | undefined;
  readonly batchNormalization?: 'frozen' | 'training' | undefined;
  /** Samples of every batch: a step for this number only is faster. Default any number. */
  readonly batchSize?: number | undefined;
  /** Batches whose gradients make one step. Default 1. */
  readonly accumulate?: number | undefined;
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
  /** Batches in one step; above 1 the data inputs have a first axis more that counts them. */
  readonly accumulate: number;
  /** What is computed for each batch: the model itself, or what it repeats. */
  readonly inner: Model;
  /** By weight: the inputs of `state` with an entry for each of its entries, itself among them. */
  readonly own: ReadonlyMap<string, readonly string[]>;
  /** By weight: the input of `state` with the mean squares of its gradients, up to a factor for all. */
  readonly meanSquares: ReadonlyMap<string, string>;
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
  if (options.batchSize) await fixBatch(copy, options.batchSize, engine, options.signal);
  // By the nodes that the model came with, before any is written in another way.
  const found = options.groups ? undefined : trainableWeights(copy, options.freeze);
  if (options.batchSize) {
    useBatchLast(copy, new Set(options.losses.flatMap(({ output, target }) => [output, target])));
    useProducts(copy);
  }
  const lossValue = appendLoss(copy, options.losses);
  const frozen = found?.frozen.map(({ value: { name }, reason }) => ({ name, reason })) ?? [];
  const names = found?.weights.map(({ name }) => name) ?? [...options.groups!.keys()];
  const wanted: string[] = [];
  for (const name of names) {
    if (options.only?.has(name) ?? true) wanted.push(name);
    else frozen.push({ name, reason: 'is not among those that are to be trained' });
  }
  const batchInputs = copy.graph.inputs.filter(({ initializer }) => !initializer);
  const { gradients, stateUpdates } = await differentiate(
    copy,
    {
      loss: lossValue.name,
      wanted,
      batchNormalization: options.batchNormalization ?? 'frozen',
      signal: options.signal,
    },
    { engine },
  );
  const trained: Trained[] = [];
  for (const name of wanted) {
    const gradient = gradients.get(name);
    if (!gradient) {
      frozen.push({ name, reason: 'the loss does not depend on it, or not smoothly' });
      continue;
    }
    trained.push({ name, gradient, content: await takeContent(copy.graph.value(name)) });
  }
  if (trained.length === 0) {
    throw new PareError('unsupported', 'train: the loss depends on no weight', {
      hint: `"${frozen[0]?.name}": ${frozen[0]?.reason}`,
    });
  }
  const statistics: Statistic[] = [];
  for (const { before, after } of stateUpdates) {
    statistics.push({ name: before.name, after, content: await takeContent(before) });
  }
  if (options.batchSize) {
    await inferShapes(engine, copy, { signal: options.signal });
    const read = [
      lossValue,
      ...trained.map(({ gradient }) => gradient),
      ...statistics.map(({ after }) => after),
    ];
    await joinReshapes(copy.graph, read);
    const block = await findBlock(engine);
    if (block) useBlocks(copy, block, read);
  }
  const batches = options.accumulate ?? 1;
  const parts = { model: copy, loss: lossValue, trained, statistics };
  if (batches === 1) {
    const updated = update(parts, options);
    await joinReshapes(updated.model.graph);
    return { ...updated, accumulate: 1, inner: copy, frozen };
  }
  copy.graph.outputs.splice(0, copy.graph.outputs.length, lossValue);
  const inner = cloneModel(copy);
  const sums = accumulate(copy, {
    batchInputs,
    loss: lossValue,
    gradients: trained.map(({ gradient, content: { dims } }) => ({ gradient, dims })),
    updates: stateUpdates,
    count: batches,
  });
  const summed = {
    model: sums.model,
    loss: sums.loss,
    trained: trained.map((each, at) => ({ ...each, gradient: sums.gradients[at]! })),
    statistics: statistics.map((each, at) => ({ ...each, after: sums.updates[at]! })),
  };
  return { ...update(summed, options), accumulate: batches, inner, frozen };
}

interface Trained {
  readonly name: string;
  readonly gradient: Value;
  readonly content: HostTensor;
}

interface Statistic {
  readonly name: string;
  readonly after: Value;
  readonly content: HostTensor;
}

interface Differentiated {
  readonly model: Model;
  readonly loss: Value;
  readonly trained: readonly Trained[];
  readonly statistics: readonly Statistic[];
}

/** Appends what makes new weights of gradients; weights are inputs by now. */
function update(
  { model, loss, trained, statistics }: Differentiated,
  options: StepOptions,
): Omit<TrainingStep, 'accumulate' | 'inner' | 'frozen'> {
  const { graph } = model;
  const state = new Map<string, HostTensor>();
  const next = new Map<string, string>();
  const results = new Map<string, string>();
  const ownInputs = new Map<string, string[]>();
  const meanSquares = new Map<string, string>();
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
  /** 1 where an entry may move; undefined where all may. Where it is 0 so are gradient and state. */
  const keeps = trained.map(({ name, content }) => {
    if (options.sparse?.has(name)) return nonzero(e, graph.value(name));
    return options.masked?.has(name) ? maskOf(e, content) : undefined;
  });
  const gradients = trained.map(({ gradient }, index) => {
    const keep = keeps[index];
    return keep ? e.mul(gradient, keep) : gradient;
  });
  const shrink = options.clipNorm ? clipFactor(e, gradients, options.clipNorm) : undefined;
  const optimizer = optimizerNamed(options.optimizer.optimizer);
  const updates = trained.map(({ name, content }, index): Update => {
    const gradient = gradients[index]!;
    const type = tensorType('float', slotDims(content.dims));
    const traits = { dims: content.dims, isSparse: options.sparse?.has(name) ?? false };
    const own = optimizer
      .slots(options.optimizer, traits)
      .map((slot) => [slot, graph.addInput(`${slot}/${name}`, type)] as const);
    const { rate, gradientFactors, decays = true } = options.groups?.get(name) ?? {};
    const shrunk = shrink ? e.mul(gradient, shrink) : gradient;
    return {
      name,
      weight: graph.value(name),
      gradient: gradientFactors ? e.mul(shrunk, constantOf(e, gradientFactors)) : shrunk,
      dims: content.dims,
      slots: Object.fromEntries(own),
      weightDecay: decays ? decayOf(content, options.optimizer) : 0,
      // A group says itself what its rate counts in.
      magnitude: rate ? 1 : magnitudeOf(content),
      rate,
      keep: keeps[index],
    };
  });
  const common = { emitter: e, learningRate, step, options: options.optimizer };
  const updated = updateAll(updates, optimizer, common);
  for (const { name, weight, slots: own } of updates) {
    const { content } = trained.find((each) => each.name === name)!;
    const after = updated.get(name)!;
    carry(weight, after.weight, content);
    for (const [slot, input] of Object.entries(own)) {
      carry(input, after.slots[slot]!, zeros(slotDims(content.dims)));
      if (slot === optimizer.meanSquare) meanSquares.set(name, input.name);
    }
    results.set(name, name);
    ownInputs.set(name, [name, ...Object.values(own).map((input) => input.name)]);
    if (options.averaging) {
      const mean = graph.addInput(`average/${name}`, tensorType('float', content.dims));
      const kept = e.mul(mean, options.averaging);
      carry(mean, e.add(kept, e.mul(after.weight, 1 - options.averaging)), content);
      results.set(name, mean.name);
      ownInputs.get(name)!.push(mean.name);
    }
  }
  for (const { name, after, content } of statistics) {
    carry(graph.value(name), after, content);
    results.set(name, name);
  }
  graph.outputs.splice(0, graph.outputs.length, ...outputs);
  return {
    model,
    state,
    next,
    learningRate: learningRate.name,
    step: step.name,
    loss: loss.name,
    results,
    own: ownInputs,
    meanSquares,
  };
}

/** Biases and norms, which have one dim, are not pulled towards zero. */
function decayOf({ dims }: HostTensor, { weightDecay }: OptimizerOptions): number {
  return dims.filter((dim) => dim > 1).length > 1 ? weightDecay : 0;
}

const freshBias = 0.01;

/**
 * Of the entries that are there: pruned ones tell nothing. What is all zero has that of a fresh
 * one, 1 / sqrt(inputs) for a matrix, such as the second of an adapter.
 */
function magnitudeOf({ dims, data }: HostTensor): number {
  let squares = 0;
  let count = 0;
  for (const weight of data as Float32Array) {
    squares += weight * weight;
    if (weight !== 0) count++;
  }
  if (count > 0) return Math.sqrt(squares / count);
  return dims.length === 2 ? 1 / Math.sqrt(dims[0]!) : freshBias;
}

/** 1 where the weight is not zero as training finds it; undefined where it is zero nowhere. */
function maskOf(e: Emitter, { dims, data }: HostTensor): Value | undefined {
  const weights = data as Float32Array;
  if (!weights.includes(0)) return undefined;
  const mask = Uint8Array.from(weights, (weight) => (weight === 0 ? 0 : 1));
  return e.cast(e.constant('uint8', dims, Array.from(mask)));
}

/** 1 where the weight is not zero, as it is in this step. */
function nonzero(e: Emitter, weight: Value): Value {
  return e.cast(e.cast(weight, 'bool'));
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

/** Makes an input of a constant; its numbers are what the input is given first. */
async function takeContent(value: Value): Promise<HostTensor> {
  const { dims } = value.initializer!;
  const content = hostTensor('float', dims, await value.initializer!.floats());
  value.initializer = undefined;
  value.type = tensorType('float', dims);
  value.graph.inputs.push(value);
  return content;
}

function zeros(dims: readonly number[]): HostTensor {
  const count = dims.reduce((total, dim) => total * dim, 1);
  return hostTensor('float', dims, new Float32Array(count));
}

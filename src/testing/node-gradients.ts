/**
 * Checks the gradients that differentiate() writes against central differences of the model run by
 * the engine: the loss is a random projection of all outputs, summed in float64 outside of the
 * runtime, so that only the rounding of the outputs themselves limits the differences.
 * For tests and conformance runs only; not part of the library's interface.
 */
import type { Engine, EngineSession, Feeds, HostTensor } from '../engine/engine.js';
import { modelSource } from '../engine/model-source.js';
import { cloneModel } from '../graph/clone.js';
import { Emitter } from '../graph/emitter.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom, type Random } from '../random.js';
import { type DifferentiateOptions, differentiate } from '../train/differentiate.js';

export interface GradientCheck {
  /** Largest |gradient - difference| over the largest |difference| of its tensor. */
  readonly worst: number;
  readonly elements: number;
  /** Elements at which the output has no derivative nearby: two step widths disagree. */
  readonly kinks: number;
  readonly unreached: readonly string[];
}

export interface CheckOptions extends Partial<DifferentiateOptions> {
  readonly feeds: Feeds;
  readonly wanted: readonly string[];
  /** Most elements per tensor; default 12. */
  readonly elements?: number;
  readonly seed?: number;
}

/** Compares; the wanted values must be graph inputs, and the outputs float or double tensors. */
export async function checkGradients(
  engine: Engine,
  model: Model,
  options: CheckOptions,
): Promise<GradientCheck> {
  const { feeds, wanted, elements = 12, seed = 1, ...rest } = options;
  const random = createRandom(seed);
  const forward = await open(engine, model);
  try {
    const floats = model.graph.outputs.map(({ name }) => name);
    const outputs = await forward.run(feeds);
    const names = floats.filter((name) => isFloat(outputs[name]!));
    const weights = new Map(
      names.map((name) => [name, projection(outputs[name]!, random)] as const),
    );
    const projected = await projectedModel(model, weights);
    const result = await differentiate(
      projected,
      { ...rest, loss: 'projected/loss', wanted, asOutputs: true },
      { engine },
    );
    const gradients = await runOnce(engine, projected, feeds, result.gradients);
    const project = async (changed: Feeds) => sum(await forward.run(changed, names), weights);
    let [worst, count, kinks] = [0, 0, 0];
    for (const name of wanted) {
      const rows = await differences(project, feeds, name, elements, random);
      const gradient = gradients.get(name);
      const smooth = rows.filter(({ isKink }) => !isKink);
      kinks += rows.length - smooth.length;
      count += rows.length;
      const scale = Math.max(1e-3, ...smooth.map(({ slope }) => Math.abs(slope)));
      for (const { at, slope } of smooth) {
        const error = Math.abs((gradient ? Number(gradient.data[at]) : 0) - slope) / scale;
        worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
      }
    }
    return { worst, elements: count, kinks, unreached: result.unreached };
  } finally {
    await forward.release();
  }
}

async function open(engine: Engine, model: Model): Promise<EngineSession> {
  return engine.createSession(await modelSource(model), { optimization: 'disabled', threads: 1 });
}

async function runOnce(
  engine: Engine,
  model: Model,
  feeds: Feeds,
  gradients: ReadonlyMap<string, Value>,
): Promise<Map<string, HostTensor>> {
  const session = await open(engine, model);
  try {
    const names = [...gradients.values()].map((value) => value.name);
    const results = names.length > 0 ? await session.run(feeds, names) : {};
    return new Map([...gradients].map(([name, value]) => [name, results[value.name]!]));
  } finally {
    await session.release();
  }
}

/** The model with Σ weight · output as `projected/loss`. */
async function projectedModel(
  model: Model,
  weights: ReadonlyMap<string, HostTensor>,
): Promise<Model> {
  const copy = cloneModel(model);
  const { graph } = copy;
  const type = [...weights.values()][0]?.dataType ?? 'float';
  const emitter = new Emitter(graph, { scope: 'projected', type });
  const parts = [...weights].map(([name, { dataType, dims, data }]) => {
    const weight = graph.addInitializer(
      'projected/weight',
      Tensor.of(dataType, dims, data as Float32Array),
    );
    const axes = dims.map((_, axis) => axis);
    const product = emitter.mul(graph.value(name), weight);
    return emitter.reshape(
      axes.length > 0 ? emitter.op('ReduceSum', [product], { keepdims: 0 }) : product,
      [1],
    );
  });
  const loss = graph.addNode({
    opType: 'Identity',
    inputs: [emitter.sum(parts.map((part) => part))],
    outputs: ['projected/loss'],
  });
  loss.output().type = tensorType(type, [1]);
  graph.outputs.splice(0, graph.outputs.length, loss.output());
  return copy;
}

interface Slope {
  readonly at: number;
  readonly slope: number;
  readonly isKink: boolean;
}

/** Central differences with two widths, combined (Richardson) to fourth order. */
async function differences(
  project: (feeds: Feeds) => Promise<number>,
  feeds: Feeds,
  name: string,
  most: number,
  random: Random,
): Promise<Slope[]> {
  const tensor = feeds[name]!;
  const values = tensor.data as Float32Array | Float64Array;
  const isDouble = values instanceof Float64Array;
  const places = pick(values.length, most, random);
  const slopes: Slope[] = [];
  for (const at of places) {
    const size = Math.max(0.5, Math.abs(values[at]!));
    const wide = size * (isDouble ? 1e-3 : 1.6e-2);
    const central = async (width: number) => {
      const moved = async (step: number) => {
        const changed = values.slice();
        changed[at]! += step;
        const actual = changed[at]! - values[at]!;
        return [await project({ ...feeds, [name]: { ...tensor, data: changed } }), actual] as const;
      };
      const [high, up] = await moved(width);
      const [low, down] = await moved(-width);
      return (high - low) / (up - down);
    };
    let [first, second] = [await central(wide), await central(wide / 2)];
    let isKink = disagree(first, second);
    if (isKink) {
      [first, second] = [await central(wide / 8), await central(wide / 16)];
      isKink = disagree(first, second);
    }
    slopes.push({ at, slope: (4 * second - first) / 3, isKink });
  }
  return slopes;
}

function disagree(first: number, second: number): boolean {
  return !(Math.abs(first - second) <= 0.02 * Math.max(Math.abs(first), Math.abs(second), 1e-2));
}

function pick(length: number, most: number, random: Random): number[] {
  if (length <= most) return Array.from({ length }, (_, at) => at);
  return Array.from(new Set(Array.from({ length: most }, () => random.int(length))));
}

function projection(output: HostTensor, random: Random): HostTensor {
  const data = (output.data as Float32Array).map(() => random.normal());
  return { ...output, data };
}

function sum(outputs: Feeds, weights: ReadonlyMap<string, HostTensor>): number {
  let total = 0;
  for (const [name, weight] of weights) {
    const values = outputs[name]!.data as Float32Array;
    const factors = weight.data as Float32Array;
    for (let i = 0; i < values.length; i++) total += values[i]! * factors[i]!;
  }
  return total;
}

function isFloat({ dataType }: HostTensor): boolean {
  return dataType === 'float' || dataType === 'double';
}

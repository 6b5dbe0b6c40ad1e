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
import type { DataType } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import { createRandom, type Random } from '../random.js';
import { type DifferentiateOptions, differentiate } from '../train/differentiate.js';

export interface GradientCheck {
  /** Largest |gradient - difference| over the largest |difference| of its tensor, or 1 % of all. */
  readonly worst: number;
  readonly elements: number;
  /** Elements left out: the slopes to their left and right differ. */
  readonly kinks: number;
  /** Elements left out: beside them the model has no value, such as Acosh below 1. */
  readonly edges: number;
  readonly unreached: readonly string[];
}

export interface CheckOptions extends Partial<DifferentiateOptions> {
  readonly feeds: Feeds;
  readonly wanted: readonly string[];
  /** Most elements per tensor; default 12. */
  readonly elements?: number;
  readonly seed?: number;
  /**
   * The same model and numbers in double, for gradients in float: differences are taken of it.
   * Those in float cannot tell a slope that is small beside what the kernels round on their way.
   */
  readonly reference?: { readonly model: Model; readonly feeds: Feeds } | undefined;
}

/** Compares; the wanted values must be graph inputs, and the outputs float or double tensors. */
export async function checkGradients(
  engine: Engine,
  model: Model,
  options: CheckOptions,
): Promise<GradientCheck> {
  const { wanted, elements = 12, seed = 1, reference, ...rest } = options;
  const random = createRandom(seed);
  const { feeds } = reference ?? options;
  const forward = await open(engine, reference?.model ?? model);
  try {
    const floats = model.graph.outputs.map(({ name }) => name);
    const outputs = await forward.run(feeds);
    const names = floats.filter((name) => isFloat(outputs[name]!));
    const weights = new Map(
      names.map((name) => [name, projection(outputs[name]!, random)] as const),
    );
    const projected = await projectedModel(model, weights, reference ? 'float' : undefined);
    const result = await differentiate(
      projected,
      { ...rest, loss: 'projected/loss', wanted, asOutputs: true },
      { engine },
    );
    const gradients = await runOnce(engine, projected, options.feeds, result.gradients);
    // Errors from here on are looked at again with other widths.
    const suspicious = reference ? 1e-4 : 1e-7;
    // Beside the edge of its domain an operator gives NaN, or the runtime refuses.
    const project = async (changed: Feeds) => {
      const results = await forward.run(changed, names).catch(() => undefined);
      return results ? sum(results, weights) : Number.NaN;
    };
    let [worst, count, kinks, edges] = [0, 0, 0, 0];
    const rounding = roundingOf(outputs, weights);
    const samples = new Map<string, { places: number[]; slopes: number[] }>();
    for (const name of wanted) {
      // An infinite number, as masks have them, cannot be moved.
      const values = elementsOf(feeds[name]!);
      const places = pick(values.length, elements, random).filter((at) =>
        Number.isFinite(values[at]),
      );
      const slopes = await slopesAt(project, feeds, name, places, widthOf(feeds[name]!));
      samples.set(name, { places, slopes });
    }
    // Rounding of the outputs limits what differences tell of a tensor that hardly matters.
    const largest = Math.max(
      0,
      ...[...samples.values()].flatMap(({ slopes }) => finite(slopes).map(Math.abs)),
    );
    for (const [name, { places, slopes }] of samples) {
      const width = widthOf(feeds[name]!);
      const scale = Math.max(1e-3, largest / 100, ...finite(slopes).map(Math.abs));
      const gradient = gradients.get(name);
      for (const [i, at] of places.entries()) {
        const value = gradient ? Number(gradient.data[at]) : 0;
        const step = width * Math.max(0.5, Math.abs(elementsOf(feeds[name]!)[at]!));
        // Of the model alone: what a gradient is plays no part in this.
        if (Number.isNaN(slopes[i]!)) {
          const [near] = await slopesAt(project, feeds, name, [at], width / 64);
          if (Number.isNaN(near!)) {
            edges++;
            continue;
          }
        }
        // What rounding of the outputs explains is no error of the gradient.
        const error = (slope: number, factor = 1) =>
          Math.max(0, Math.abs(value - slope) - rounding / (step * factor)) / scale;
        let least = error(slopes[i]!);
        // Rounding, or a jump of the slope nearby, may spoil one width and not another.
        for (const factor of least <= suspicious ? [] : [4, 1 / 4, 1 / 16]) {
          const [slope] = await slopesAt(project, feeds, name, [at], width * factor);
          if (!(least <= error(slope!, factor))) least = error(slope!, factor);
        }
        if (least > suspicious && (await isKink(project, feeds, name, at, scale))) kinks++;
        else {
          count++;
          worst = Number.isNaN(least) ? Number.POSITIVE_INFINITY : Math.max(worst, least);
        }
      }
    }
    return { worst, elements: count, kinks, edges, unreached: result.unreached };
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

/** The model with Σ weight · output as `projected/loss`; outputs are of the type of the weights, or of `as`. */
async function projectedModel(
  model: Model,
  weights: ReadonlyMap<string, HostTensor>,
  as?: DataType,
): Promise<Model> {
  const copy = cloneModel(model);
  const { graph } = copy;
  const type = as ?? [...weights.values()][0]?.dataType ?? 'float';
  const emitter = new Emitter(graph, { scope: 'projected', type });
  const parts = [...weights].map(([name, { dataType, data }]) => {
    const weight = graph.addInitializer(
      'projected/weight',
      Tensor.of(as ?? dataType, [data.length], data as Float32Array),
    );
    // Flat, so that nothing of the output's shape is told to the runtime's inference.
    const flat = emitter.reshape(graph.value(name), [-1]);
    return emitter.op('ReduceSum', [emitter.mul(flat, weight)], { keepdims: 1 });
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

type Project = (feeds: Feeds) => Promise<number>;

function elementsOf({ data }: HostTensor): Float32Array | Float64Array {
  return data as Float32Array | Float64Array;
}

/** Step width relative to the size of a number: rounding against the error of fourth order. */
function widthOf(tensor: HostTensor): number {
  return tensor.dataType === 'double' ? 1e-3 : 1.6e-2;
}

/** Central differences with two widths, combined to fourth order (Richardson). */
async function slopesAt(
  project: Project,
  feeds: Feeds,
  name: string,
  places: readonly number[],
  width: number,
): Promise<number[]> {
  // All at once: a run costs less than the two changes of thread around it.
  return Promise.all(
    places.map(async (at) => {
      const step = Math.max(0.5, Math.abs(elementsOf(feeds[name]!)[at]!)) * width;
      const central = async (by: number) => {
        const high = moved(project, feeds, name, at, by);
        const low = await moved(project, feeds, name, at, -by);
        return ((await high).loss - low.loss) / ((await high).step - low.step);
      };
      const wide = central(step);
      return (4 * (await central(step / 2)) - (await wide)) / 3;
    }),
  );
}

/** The loss with one number changed, and by how much it changed after rounding. */
async function moved(project: Project, feeds: Feeds, name: string, at: number, by: number) {
  const tensor = feeds[name]!;
  const values = elementsOf(tensor);
  const data = values.slice();
  data[at]! += by;
  return {
    loss: await project({ ...feeds, [name]: { ...tensor, data } }),
    step: data[at]! - values[at]!,
  };
}

/** Whether the slopes to the left and to the right differ, near and nearer. */
async function isKink(
  project: Project,
  feeds: Feeds,
  name: string,
  at: number,
  scale: number,
): Promise<boolean> {
  const here = await project(feeds);
  const step = Math.max(0.5, Math.abs(elementsOf(feeds[name]!)[at]!)) * widthOf(feeds[name]!);
  for (const width of [step, step / 16]) {
    const left = await moved(project, feeds, name, at, -width);
    const right = await moved(project, feeds, name, at, width);
    const slopes = [left, right].map(({ loss, step: by }) => (loss - here) / by);
    if (Math.abs(slopes[0]! - slopes[1]!) < 0.02 * scale) return false;
  }
  return true;
}

const finite = (slopes: readonly number[]) => slopes.filter(Number.isFinite);

function pick(length: number, most: number, random: Random): number[] {
  if (length <= most) return Array.from({ length }, (_, at) => at);
  return Array.from(new Set(Array.from({ length: most }, () => random.int(length))));
}

function projection(output: HostTensor, random: Random): HostTensor {
  // Numbers that float can hold, so that a twin in double is projected alike.
  const data = (output.data as Float32Array).map(() => Math.fround(random.normal()));
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

/** How much the rounding of the outputs may move the loss: two units in the last place of each. */
function roundingOf(outputs: Feeds, weights: ReadonlyMap<string, HostTensor>): number {
  let squares = 0;
  for (const [name, weight] of weights) {
    const values = outputs[name]!.data as Float32Array;
    const factors = weight.data as Float32Array;
    const unit = weight.dataType === 'double' ? 2 ** -51 : 2 ** -22;
    for (let i = 0; i < values.length; i++) squares += (unit * values[i]! * factors[i]!) ** 2;
  }
  return Math.sqrt(squares);
}

function isFloat({ dataType }: HostTensor): boolean {
  return dataType === 'float' || dataType === 'double';
}

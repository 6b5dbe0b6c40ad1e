/**
 * Attributions of one sample, by their published definitions: which elements of the input, which
 * elements of a layer, and which elements of the input by way of one neuron, speak for a class. With
 * F the logit of the class, x the input, x' the baseline, and means over the straight path between:
 *   saliency: |dF/dx| (Simonyan et al. 2014); gradient-input: x dF/dx;
 *   integrated-gradients: (x - x') mean of dF/dx (Sundararajan et al. 2017);
 *   conductance of a layer, and of a neuron by input: path.ts (Dhamdhere et al. 2018, eq. 1 and 2);
 *   internal-influence: mean of dF/da (Leino et al. 2018); gradient-activation: a dF/da.
 */
import type { EngineSession, Feeds, HostTensor } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import { PareError } from '../errors.js';
import type { Value } from '../graph/value.js';
import {
  type Backward,
  differentiateValue,
  floatInputs,
  type GradientSession,
  openGradients,
  type Runnable,
} from './gradients.js';
import { bordersAndMiddles, conductanceOf, influenceOf, middles, pathRows } from './path.js';
import { openForward } from './subject.js';
import { classSeed, type Target } from './target.js';

export type InputMethod = 'saliency' | 'gradient-input' | 'integrated-gradients';
export type LayerMethod = 'conductance' | 'internal-influence' | 'gradient-activation';

export interface PathOptions {
  /** Cells of the path. Default 50. */
  readonly steps?: number | undefined;
  /** By input; zeros where it has none. */
  readonly baseline?: Feeds | undefined;
}

export interface InputResult {
  /** By input of floats, of its dims without the batch. */
  readonly values: ReadonlyMap<string, Float32Array>;
  /** The slope behind the values: mean of dF/dx over the path, or dF/dx. */
  readonly slopes: ReadonlyMap<string, Float32Array>;
  /** Sum of the values minus F(x) - F(x'); null but for integrated gradients. */
  readonly completenessError: number | null;
}

const defaultSteps = 50;

/** Attributions of the samples of one model. Feeds are batches of one sample. Close it when done. */
export class Attributor {
  readonly #runnable: Runnable;
  readonly #target: Target;
  readonly #floats: ReadonlySet<string>;
  #inputs: Promise<InputSession> | undefined;
  #forward: Promise<EngineSession> | undefined;

  constructor(runnable: Runnable, target: Target) {
    this.#runnable = runnable;
    this.#target = target;
    this.#floats = new Set(floatInputs(runnable.model).map(({ name }) => name));
    if (target.task !== 'classification' || this.#floats.size === 0) {
      throw new PareError(
        'unsupported',
        'explain: inputs are attributed for a class per sample and inputs of floats, and this model has none',
      );
    }
  }

  async input(
    feeds: Feeds,
    class_: number,
    method: InputMethod,
    { steps = defaultSteps, baseline = {} }: PathOptions = {},
  ): Promise<InputResult> {
    this.#inputs ??= this.#openInputs();
    const { gradients, outputs, run } = await this.#inputs;
    const places = method === 'integrated-gradients' ? [...middles(steps), 0, 1] : [1];
    const rows = pathRows(feeds, baseline, this.#floats, places);
    const results = await gradients.run(...this.#seeded(rows, class_, places.length));
    const values = new Map<string, Float32Array>();
    const slopes = new Map<string, Float32Array>();
    const used = Math.max(1, places.length - 2);
    for (const [name, output] of outputs) {
      const slope = meanOfRows(float32Of(results[output]!), used, places.length);
      slopes.set(name, slope);
      const to = float32Of(feeds[name]!);
      const from = baseline[name] && float32Of(baseline[name]);
      values.set(
        name,
        slope.map((g, i) => weigh[method](g, to[i]!, from?.[i] ?? 0)),
      );
    }
    if (method !== 'integrated-gradients') return { values, slopes, completenessError: null };
    const logits = float32Of(results[run]!);
    const { classes } = this.#target;
    const logitOf = (row: number) => logits[row * classes + class_]!;
    const sum = [...values.values()].reduce(
      (all, each) => all + each.reduce((a, b) => a + b, 0),
      0,
    );
    const change = logitOf(places.length - 1) - logitOf(places.length - 2);
    return { values, slopes, completenessError: sum - change };
  }

  /** The logit of the class for each row of the feeds. */
  async logits(feeds: Feeds, class_: number): Promise<Float32Array> {
    const { logits, classes } = this.#target;
    this.#forward ??= openForward(this.#runnable, logits);
    const numbers = float32Of((await (await this.#forward).run(feeds))[logits]!);
    return Float32Array.from(
      { length: numbers.length / classes },
      (_, row) => numbers[row * classes + class_]!,
    );
  }

  /** Of each element of a value, with its dims; the batch is 1. */
  async layer(
    feeds: Feeds,
    class_: number,
    method: LayerMethod,
    value: string,
    { steps = defaultSteps, baseline = {} }: PathOptions = {},
  ): Promise<HostTensor> {
    const backward = await this.#backward([value]);
    const gradients = await openGradients(backward, (e) => {
      const [own, gradient] = [e.graph.value(value), gradientIn(backward, value, e.graph)];
      if (method === 'conductance') return [conductanceOf(e, own, gradient)];
      if (method === 'internal-influence') return [influenceOf(e, gradient)];
      return [e.mul(own, gradient)];
    });
    try {
      const places = method === 'gradient-activation' ? [1] : bordersAndMiddles(steps);
      const rows = pathRows(feeds, baseline, this.#floats, places);
      const results = await gradients.run(...this.#seeded(rows, class_, places.length));
      return Object.values(results)[0]!;
    } finally {
      await gradients.release();
    }
  }

  /**
   * Conductance of one element of a value, by element of the inputs: what each of them sends to the
   * class by way of it. Two backward passes: dF/da gives the weights of da/dx.
   *
   * @param element position in the value of one sample
   */
  async neuron(
    feeds: Feeds,
    class_: number,
    value: string,
    element: number,
    { steps = defaultSteps, baseline = {} }: PathOptions = {},
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const places = middles(steps);
    const rows = pathRows(feeds, baseline, this.#floats, places);
    const above = await this.#backward([value]);
    const slope = await openGradients(above, (e) => [gradientIn(above, value, e.graph)]);
    const slopes = Object.values(
      await closing(slope, () => slope.run(...this.#seeded(rows, class_, places.length))),
    )[0]!;
    const seed = float32Of(slopes).slice();
    const size = seed.length / places.length;
    for (let i = 0; i < seed.length; i++) if (i % size !== element) seed[i] = 0;
    const below = await differentiateValue(this.#runnable, value, [...this.#floats]);
    const names = [...this.#floats].filter((name) => below.gradients.has(name));
    const gradients = await openGradients(below, (e) =>
      names.map((name) => gradientIn(below, name, e.graph)),
    );
    const results = await closing(gradients, () => gradients.run(rows, seed, slopes.dims));
    return new Map(
      names.map((name) => {
        const mean = meanOfRows(
          float32Of(results[below.gradients.get(name)!]!),
          places.length,
          places.length,
        );
        const to = float32Of(feeds[name]!);
        const from = baseline[name] && float32Of(baseline[name]);
        return [name, mean.map((g, i) => g * (to[i]! - (from?.[i] ?? 0)))];
      }),
    );
  }

  async close(): Promise<void> {
    await (await this.#inputs)?.gradients.release();
    await (await this.#forward)?.release();
  }

  #backward(wanted: readonly string[]): Promise<Backward> {
    return differentiateValue(this.#runnable, this.#target.logits, wanted);
  }

  #seeded(rows: Feeds, class_: number, count: number): [Feeds, Float32Array, number[]] {
    return [rows, classSeed(this.#target, class_, count), [count, ...this.#target.dims]];
  }

  async #openInputs(): Promise<InputSession> {
    const backward = await this.#backward([...this.#floats]);
    const outputs = new Map(
      [...this.#floats].flatMap((name) => {
        const gradient = backward.gradients.get(name);
        return gradient ? [[name, gradient] as const] : [];
      }),
    );
    const run = this.#target.logits;
    const gradients = await openGradients(backward, (e) =>
      [...outputs.values(), run].map((name) => e.graph.value(name)),
    );
    return { gradients, outputs, run };
  }
}

interface InputSession {
  readonly gradients: GradientSession;
  /** Names of the gradients by input. */
  readonly outputs: ReadonlyMap<string, string>;
  /** Name of the logits. */
  readonly run: string;
}

const weigh: Readonly<Record<InputMethod, (slope: number, to: number, from: number) => number>> =
  Object.freeze({
    saliency: (slope: number) => Math.abs(slope),
    'gradient-input': (slope: number, to: number) => slope * to,
    'integrated-gradients': (slope: number, to: number, from: number) => slope * (to - from),
  });

function gradientIn({ gradients }: Backward, name: string, graph: Value['graph']): Value {
  const gradient = gradients.get(name);
  if (gradient) return graph.value(gradient);
  throw new PareError('usage', `explain: the class does not depend smoothly on "${name}"`, {
    tensor: name,
  });
}

async function closing<T>(session: GradientSession, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } finally {
    await session.release();
  }
}

/** The mean of the first `used` rows of `rows`. */
function meanOfRows(numbers: Float32Array, used: number, rows: number): Float32Array {
  const size = numbers.length / rows;
  const mean = new Float64Array(size);
  for (let at = 0; at < used * size; at++) mean[at % size]! += numbers[at]! / used;
  return Float32Array.from(mean);
}

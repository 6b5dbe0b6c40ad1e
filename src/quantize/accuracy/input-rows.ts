/**
 * Rows of values as samples make them: a fixed number, drawn evenly from all, and the extremes of
 * every channel over all. Channels are on the last axis. Changes no model.
 */
import { float32Of } from '../../engine/host-tensor.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError, throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import { tensorType } from '../../graph/value-type.js';
import { type PassContext, requireEngine } from '../../pass.js';
import { createRandom, type Random } from '../../random.js';

export interface InputRows {
  readonly channels: number;
  readonly count: number;
  /** [count, channels] */
  readonly data: Float32Array;
  /** Per channel, over all rows of all samples. */
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/** Most rows that are kept of a value. */
const mostRows = 512;

/** By name; a value that was empty in every sample is left out. */
export async function inputRows(
  model: Model,
  names: readonly string[],
  context: PassContext,
  pass: string,
): Promise<Map<string, InputRows>> {
  const engine = requireEngine(context, pass);
  if (!context.samples) {
    throw new PareError('usage', `${pass}: needs samples to see the inputs of layers`, {
      hint: 'give data with --data PATH; labels are not needed',
    });
  }
  const probe = cloneModel(model);
  const added = names.map((name) => probe.graph.value(name)).filter((value) => !value.isInput);
  for (const value of added) {
    value.type ??= tensorType('float');
    if (!value.isOutput) probe.graph.outputs.push(value);
  }
  const fetches = added.map(({ name }) => name);
  const random = createRandom(context.seed);
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  const task = context.progress.task(`${pass}: inputs of layers`);
  const found = new Map<string, RowReservoir>();
  let count = 0;
  try {
    for await (const feeds of context.samples()) {
      throwIfAborted(context.signal);
      const results = fetches.length > 0 ? await session.run(feeds, fetches) : {};
      for (const name of names) {
        const tensor = results[name] ?? feeds[name]!;
        const channels = tensor.dims.at(-1)!;
        const rows = found.get(name) ?? new RowReservoir(channels, random);
        found.set(name, rows);
        rows.add(float32Of(tensor));
      }
      task.update(++count);
    }
  } finally {
    task.end();
    await session.release();
  }
  if (count === 0) throw new PareError('invalid-data', `${pass}: there is no sample`);
  return new Map([...found].filter(([, { count: rows }]) => rows > 0));
}

/** Keeps every row with the same probability (reservoir sampling, Vitter 1985). */
class RowReservoir implements InputRows {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly #kept: Float32Array;
  readonly #random: Random;
  #seen = 0;

  constructor(
    readonly channels: number,
    random: Random,
  ) {
    this.min = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
    this.max = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY);
    this.#kept = new Float32Array(mostRows * channels);
    this.#random = random;
  }

  get count(): number {
    return Math.min(this.#seen, mostRows);
  }

  get data(): Float32Array {
    return this.#kept.subarray(0, this.count * this.channels);
  }

  add(values: Float32Array): void {
    const { channels, min, max } = this;
    for (let start = 0; start < values.length; start += channels) {
      for (let c = 0; c < channels; c++) {
        const x = values[start + c]!;
        if (x < min[c]!) min[c] = x;
        if (x > max[c]!) max[c] = x;
      }
      const slot = this.#seen < mostRows ? this.#seen : this.#random.int(this.#seen + 1);
      this.#seen++;
      if (slot < mostRows)
        this.#kept.set(values.subarray(start, start + channels), slot * channels);
    }
  }
}

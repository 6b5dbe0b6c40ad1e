/**
 * The straight path from a baseline to an input, as rows of one batch: what is averaged along it is
 * one run of the model. The integral over [0, 1] is taken by the midpoint rule in n cells: rows at
 * the odd multiples of 1/(2n) are the middles of cells, those at the even ones their borders. It is
 * exact for a network of straight pieces whose kinks lie on borders, which Gauss-Legendre is not.
 */
import type { Feeds, HostTensor } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import type { Emitter } from '../graph/emitter.js';
import type { Value } from '../graph/value.js';
import { contribution } from './gradients.js';

/** Where on the path: the middles of n cells, or borders and middles in turn (2 n + 1). */
export function middles(steps: number): number[] {
  return Array.from({ length: steps }, (_, k) => (2 * k + 1) / (2 * steps));
}

export function bordersAndMiddles(steps: number): number[] {
  return Array.from({ length: 2 * steps + 1 }, (_, k) => k / (2 * steps));
}

/**
 * Rows at these places of the path of one sample. Inputs that are no floats are repeated.
 * @param baseline by input; zero where it has none
 */
export function pathRows(
  feeds: Feeds,
  baseline: Feeds,
  floats: ReadonlySet<string>,
  places: readonly number[],
): Feeds {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => {
      const ends = floats.has(name)
        ? { to: float32Of(tensor), from: baseline[name] && float32Of(baseline[name]) }
        : undefined;
      return [name, ends ? interpolate(tensor, ends, places) : repeat(tensor, places.length)];
    }),
  );
}

function interpolate(
  { dims }: HostTensor,
  { to, from }: { to: Float32Array; from: Float32Array | undefined },
  places: readonly number[],
): HostTensor {
  const rows = new Float32Array(to.length * places.length);
  for (const [row, place] of places.entries()) {
    for (let i = 0; i < to.length; i++) {
      const start = from?.[i] ?? 0;
      rows[row * to.length + i] = start + place * (to[i]! - start);
    }
  }
  return hostTensor('float', [places.length, ...dims.slice(1)], rows);
}

/** One sample, `count` times. */
export function repeat({ dataType, dims, data }: HostTensor, count: number): HostTensor {
  const all = [dims[0]! * count, ...dims.slice(1)];
  if (!ArrayBuffer.isView(data)) {
    const texts = Array.from({ length: count }, () => data as readonly string[]).flat();
    return { dataType, dims: all, data: texts };
  }
  const copies = new (data.constructor as Float32ArrayConstructor)(data.length * count);
  for (let i = 0; i < count; i++) copies.set(data as Float32Array, i * data.length);
  return { dataType, dims: all, data: copies };
}

/**
 * Conductance of each element of a value, with a first axis of 1, from rows at borders and middles:
 * sum over cells of dF/da at the middle times the change of a over the cell. Source: Dhamdhere et
 * al., "How Important Is a Neuron?" (2018), eq. 2, with da/dalpha integrated over each cell.
 */
export function conductanceOf(e: Emitter, value: Value, gradient: Value): Value {
  const end = Number.MAX_SAFE_INTEGER;
  const borders = e.slice(value, [0], [end], [0], [2]);
  const steps = e.sub(e.slice(borders, [1], [end], [0]), e.slice(borders, [0], [-1], [0]));
  return e.reduce('ReduceSum', contribution(e, steps, atMiddles(e, gradient)), [0], true);
}

/**
 * Internal influence: the mean of dF/da over the path. Source: Leino et al., "Influence-Directed
 * Explanations for Deep Convolutional Networks" (2018), with the straight path as distribution.
 * Places without a slope (see `contribution`) do not influence.
 */
export function influenceOf(e: Emitter, gradient: Value): Value {
  const slopes = atMiddles(e, gradient);
  return e.reduce('ReduceMean', e.where(e.op('IsNaN', [slopes]), 0, slopes), [0], true);
}

function atMiddles(e: Emitter, value: Value): Value {
  return e.slice(value, [1], [Number.MAX_SAFE_INTEGER], [0], [2]);
}

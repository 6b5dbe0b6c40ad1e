/**
 * The geometry of a sliding window, of convolutions and pooling alike: kernel, strides, dilations
 * and pads per spatial axis, with auto_pad resolved. Pure arithmetic.
 * Source: the ONNX specification of Conv, ConvTranspose, MaxPool and AveragePool.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import type { Dim } from '../../graph/value-type.js';
import { NoGradient } from './rule.js';

export interface Window {
  /** Number of spatial axes. */
  readonly rank: number;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Before and after, per axis. */
  readonly begins: readonly number[];
  readonly ends: readonly number[];
}

/** How far the window reaches along an axis: d (k - 1) + 1. */
export function reach({ kernel, dilations }: Window, axis: number): number {
  return dilations[axis]! * (kernel[axis]! - 1) + 1;
}

/** The spatial axes of a tensor [N, C, ...]. */
export function spatialAxes({ rank }: Window): number[] {
  return Array.from({ length: rank }, (_, axis) => axis + 2);
}

/** The window of a Conv, MaxPool or AveragePool over x. */
export function windowOf(node: Node, x: Value, kernelDims?: readonly Dim[]): Window {
  const window = unpadded(node, kernelDims);
  const { rank, strides } = window;
  const autoPad = node.string('auto_pad', 'NOTSET');
  if (autoPad === 'VALID') return window;
  if (autoPad === 'NOTSET') return { ...window, ...explicitPads(node, rank) };
  const total = strides.map((stride, axis) => {
    // With stride 1 the output is as large as the input, whatever that is.
    if (stride === 1) return reach(window, axis) - 1;
    const dim = x.dims?.[axis + 2];
    if (typeof dim !== 'number') {
      throw new NoGradient(
        `auto_pad ${autoPad} with stride ${stride} over a dim that is not fixed`,
      );
    }
    return Math.max(0, (Math.ceil(dim / stride) - 1) * stride + reach(window, axis) - dim);
  });
  return { ...window, ...halves(total, autoPad) };
}

/** The window of a ConvTranspose that makes y of x. */
export function transposedWindowOf(
  node: Node,
  x: Value,
  y: Value,
  kernelDims: readonly Dim[],
): Window {
  const window = unpadded(node, kernelDims);
  const { rank, strides } = window;
  const autoPad = node.string('auto_pad', 'NOTSET');
  if (autoPad === 'NOTSET' && !node.has('output_shape')) {
    return { ...window, ...explicitPads(node, rank) };
  }
  const extra = node.ints('output_padding', repeat(rank, 0));
  const total = strides.map((stride, axis) => {
    const [from, to] = [x.dims?.[axis + 2], y.dims?.[axis + 2]];
    if (typeof from !== 'number' || typeof to !== 'number') {
      throw new NoGradient('auto_pad or output_shape over dims that are not fixed');
    }
    return Math.max(0, stride * (from - 1) + extra[axis]! + reach(window, axis) - to);
  });
  if (autoPad === 'VALID') return window;
  return { ...window, ...halves(total, autoPad === 'SAME_UPPER' ? autoPad : 'SAME_LOWER') };
}

function unpadded(node: Node, kernelDims?: readonly Dim[]): Window {
  const kernel = node.ints('kernel_shape', kernelDims?.map(numberOrThrow) ?? []);
  const rank = kernel.length;
  return {
    rank,
    kernel,
    strides: node.ints('strides', repeat(rank, 1)),
    dilations: node.ints('dilations', repeat(rank, 1)),
    begins: repeat(rank, 0),
    ends: repeat(rank, 0),
  };
}

function explicitPads(node: Node, rank: number) {
  const pads = node.ints('pads', repeat(2 * rank, 0));
  return { begins: pads.slice(0, rank), ends: pads.slice(rank) };
}

/** The odd one goes to the end with SAME_UPPER, to the beginning with SAME_LOWER. */
function halves(total: readonly number[], autoPad: string) {
  const small = total.map((amount) => Math.floor(amount / 2));
  const large = total.map((amount, axis) => amount - small[axis]!);
  return autoPad === 'SAME_UPPER' ? { begins: small, ends: large } : { begins: large, ends: small };
}

function numberOrThrow(dim: Dim): number {
  if (typeof dim === 'number') return dim;
  throw new NoGradient('the kernel is of no fixed shape');
}

export function repeat(length: number, number: number): number[] {
  return Array.from({ length }, () => number);
}

/** Every combination of kernel positions, in the order in which a kernel is stored. */
export function tapsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (taps, size) =>
      taps.flatMap((tap) => Array.from({ length: size }, (_, position) => [...tap, position])),
    [[]],
  );
}

/**
 * For every position of the kernel the pairs of an input place p and an output place q that it
 * joins, as p * (number of output places) + q, places counted in the order in which they are stored.
 */
export function placesOf(
  window: Window,
  from: readonly number[],
  to: readonly number[],
): number[][] {
  const { strides, dilations, begins } = window;
  const count = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1);
  const outputs = count(to);
  const targets = tapsOf(to);
  return tapsOf(window.kernel).map((tap) =>
    targets.flatMap((target, q) => {
      let p = 0;
      for (const [axis, place] of target.entries()) {
        const at = place * strides[axis]! + tap[axis]! * dilations[axis]! - begins[axis]!;
        if (at < 0 || at >= from[axis]!) return [];
        p = p * from[axis]! + at;
      }
      return [p * outputs + q];
    }),
  );
}

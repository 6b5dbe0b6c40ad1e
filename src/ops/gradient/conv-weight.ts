/**
 * The gradient of a convolution's weight, three ways to write it:
 *
 * - `product`, for kernels of one element: one matrix product per sample, summed.
 * - `taps`: for every element of the kernel a strided slice of the padded input and a matrix
 *   product with dY (for depthwise kernels an element-wise product and a sum).
 * - `swapped`: one convolution of x with dY as its kernel, batch and channels swapped, strides and
 *   dilations swapped, the surplus cut off.
 *
 * Which one is fastest depends on the shape; the wrong one costs 3 to 10 times. The thresholds in
 * `chooseRecipe` are measured by bench/conv-gradient.mjs.
 */
import type { Value } from '../../graph/value.js';
import type { GradientEmitter } from './rule.js';
import { spatialAxes, tapsOf, type Window } from './window.js';

export interface ConvWeightParts {
  /** [N, C, ...spatial], and the gradient of the output [N, M, ...]. */
  readonly x: Value;
  readonly dy: Value;
  /** Values of the same shapes whose dims are known, as far as any are. */
  readonly xShape: Value;
  readonly dyShape: Value;
  /** Dims of the weight: [M, C / group, ...kernel]. */
  readonly weight: readonly number[];
  readonly group: number;
  readonly window: Window;
}

export type ConvWeightRecipe = 'product' | 'taps' | 'swapped';

/** The recipe for a shape. Dims that are not fixed count as large. */
export function chooseRecipe(parts: ConvWeightParts): ConvWeightRecipe {
  const { weight, group, window, dyShape } = parts;
  const [outputs, channels] = weight as [number, number];
  const isPadded = [...window.begins, ...window.ends].some((pad) => pad !== 0);
  if (window.kernel.every((size) => size === 1) && !isPadded) return 'product';
  const isDepthwise = channels === 1 && group > 1 && outputs === group;
  const isStrided = window.strides.some((stride) => stride > 1);
  if (isDepthwise) return isStrided ? 'swapped' : 'taps';
  const side = Math.max(
    ...spatialAxes(window).map((axis) => {
      const dim = dyShape.dims?.[axis];
      return typeof dim === 'number' ? dim : Number.POSITIVE_INFINITY;
    }),
  );
  return side <= 7 || channels <= 4 ? 'swapped' : 'taps';
}

/** Writes the gradient, [M, C / group, ...kernel]. */
export function convWeightGradient(
  g: GradientEmitter,
  parts: ConvWeightParts,
  recipe: ConvWeightRecipe = chooseRecipe(parts),
): Value {
  return recipes[recipe](g, parts);
}

const recipes: Readonly<
  Record<ConvWeightRecipe, (g: GradientEmitter, parts: ConvWeightParts) => Value>
> = Object.freeze({ product: byProduct, taps: byTaps, swapped: bySwap });

function byProduct(g: GradientEmitter, parts: ConvWeightParts): Value {
  const { x, weight, window } = parts;
  const isStrided = window.strides.some((stride) => stride > 1);
  const seen = isStrided
    ? tapSlice(
        g,
        parts,
        x,
        window.kernel.map(() => 0),
      )
    : x;
  return g.reshape(tapProduct(g, parts, seen), weight);
}

function byTaps(g: GradientEmitter, parts: ConvWeightParts): Value {
  const { x, weight, window } = parts;
  const { rank, begins, ends } = window;
  const pads = [0, 0, ...begins, 0, 0, ...ends];
  const padded = pads.some((pad) => pad !== 0) ? g.op('Pad', [x, g.ints(...pads)]) : x;
  const products = tapsOf(window.kernel).map((tap) => {
    const product = tapProduct(g, parts, tapSlice(g, parts, padded, tap));
    return g.reshape(product, [weight[0]!, weight[1]!, 1]);
  });
  const joined = g.concat(products, 2);
  return rank === 1 ? joined : g.reshape(joined, weight);
}

/** The elements of x that a position of the kernel meets, in the spatial shape of dY. */
function tapSlice(g: GradientEmitter, parts: ConvWeightParts, x: Value, tap: readonly number[]) {
  const { window, dyShape } = parts;
  const starts = tap.map((position, axis) => position * window.dilations[axis]!);
  const ends = starts.map((start, axis) =>
    g.addInts(
      g.mulInts(g.dim(dyShape, axis + 2), window.strides[axis]!),
      start - window.strides[axis]! + 1,
    ),
  );
  return g.slice(x, starts, ends, spatialAxes(window), window.strides);
}

/** Σ over samples and places of dY and what one position of the kernel meets: [M, C / group]. */
function tapProduct(g: GradientEmitter, parts: ConvWeightParts, seen: Value): Value {
  const { dy, weight, group } = parts;
  const [outputs, channels] = weight as [number, number];
  if (group > 1 && channels === 1 && outputs === group) {
    const axes = [0, ...spatialAxes(parts.window)];
    return g.reduce('ReduceSum', g.mul(seen, dy), axes, false);
  }
  const shape = (count: number) => (group === 1 ? [0, count, -1] : [0, group, count / group, -1]);
  const left = g.reshape(dy, shape(outputs));
  const right = g.reshape(seen, shape(channels * group));
  const product = g.op('MatMul', [left, g.transposeLast(right, group === 1 ? 3 : 4)]);
  return g.reduce('ReduceSum', product, [0], false);
}

function bySwap(g: GradientEmitter, parts: ConvWeightParts): Value {
  const { x, dy, xShape, weight, group, window } = parts;
  const { rank, kernel, strides, dilations, begins, ends } = window;
  const channels = weight[1]!;
  const spatial = spatialAxes(window);
  const swap = [1, 0, ...spatial];
  const dims = spatial.map((axis) => g.dim(xShape, axis));
  const batch = g.dim(xShape, 0);
  let image = g.transpose(x, swap);
  if (group > 1) {
    const parted = g.reshape(x, [batch, group, channels, ...dims]);
    const turned = g.transpose(parted, [2, 1, 0, ...spatial.map((axis) => axis + 1)]);
    image = g.reshape(turned, [channels, g.mulInts(batch, group), ...dims]);
  }
  const swapped = g.op('Conv', [image, g.transpose(dy, swap)], {
    strides: dilations,
    dilations: strides,
    pads: [...begins, ...ends],
    group,
  });
  const cut = g.slice(
    swapped,
    kernel.map(() => 0),
    kernel,
    spatial,
  );
  return rank > 0 ? g.transpose(cut, swap) : cut;
}

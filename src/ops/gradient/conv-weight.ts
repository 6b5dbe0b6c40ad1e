/**
 * The gradient of a convolution's weight, several ways to write it:
 *
 * - `product`, for kernels of one element: one matrix product per sample, summed.
 * - `taps`: for every element of the kernel a strided slice of the padded input and a matrix
 *   product with dY (for depthwise kernels an element-wise product and a sum, or of one
 *   sample a row times a column).
 * - `shifts`, for two axes and stride 1: x moved along the last axis and dY along the other one, so
 *   that a kernel of 3x3 takes 6 copies instead of 9, and one of 5x5 takes 10 instead of 25.
 * - `swapped`: one convolution of x with dY as its kernel, batch and channels swapped, strides and
 *   dilations swapped, the surplus cut off.
 * - `plane` and `rows`, for depthwise kernels: see depthwise-weight.ts.
 *
 * Which one is fastest depends on the shape; the wrong one costs 3 to 10 times. The thresholds in
 * `chooseRecipe` are measured by bench/conv-gradient.mjs.
 */
import type { Value } from '../../graph/value.js';
import { elementCount } from '../../onnx/data-type.js';
import { byPlane, byRows } from './depthwise-weight.js';
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

export type ConvWeightRecipe = keyof typeof recipes;

/** The recipe for a shape. Dims that are not fixed count as large. */
export function chooseRecipe(parts: ConvWeightParts): ConvWeightRecipe {
  return possibleRecipes(parts)[0]!;
}

/** All recipes that fit, the one that is expected to be fastest first. */
export function possibleRecipes(parts: ConvWeightParts): ConvWeightRecipe[] {
  const { weight, group, window, xShape, dyShape } = parts;
  const [outputs, channels] = weight as [number, number];
  const isPadded = [...window.begins, ...window.ends].some((pad) => pad !== 0);
  const isStrided = window.strides.some((stride) => stride > 1);
  const [from, to] = [fixedPlane(xShape, window), fixedPlane(dyShape, window)];
  if (window.kernel.every((size) => size === 1) && !isPadded) {
    return ['product', 'taps', 'swapped'];
  }
  if (channels === 1 && group > 1 && outputs === group) {
    if (isOneSample(parts)) return ofOneSample(window, from, to);
    const general: ConvWeightRecipe[] = isStrided ? ['swapped', 'taps'] : ['taps', 'swapped'];
    if (!from || !to) return general;
    const dense: ConvWeightRecipe[] = window.rank === 2 ? ['rows', 'plane'] : ['plane'];
    if (elementCount(from) * elementCount(to) <= largestPlane)
      return [...dense.reverse(), ...general];
    const isWide = window.rank !== 2 || (!isStrided && from[1]! > widestRow);
    return isWide ? general : ['rows', ...general];
  }
  const side = Math.max(...(to ?? [Number.POSITIVE_INFINITY]));
  const isSwapped = side <= 7 || (channels <= 4 && !isOneSample(parts));
  const general: ConvWeightRecipe[] = isSwapped ? ['swapped', 'taps'] : ['taps', 'swapped'];
  if (window.rank !== 2 || isStrided || !from || !to) return general;
  // Rows of zeros take part in the products.
  const isTight = from[0]! <= 1.6 * to[0]!;
  return general[0] === 'taps' && isTight ? ['shifts', ...general] : [...general, 'shifts'];
}

/**
 * For a depthwise kernel, whose taps are a row times a column per channel. One per channel and
 * sample would be too many: 384 channels of 14x14, 8 samples, 91 ms, and 3.1 by `rows`.
 */
function ofOneSample(window: Window, from?: number[], to?: number[]): ConvWeightRecipe[] {
  const isFlat = window.rank === 2 && window.strides.every((stride) => stride === 1);
  return isFlat && from && to ? ['shifts', 'taps', 'swapped'] : ['taps', 'swapped'];
}

/** Places of x times places of dY up to which one product over both is fastest. */
const largestPlane = 24_000;
/** Above this width a product per row costs more than the taps. */
const widestRow = 64;

/** The spatial dims where all are fixed. */
function fixedPlane(value: Value, window: Window): number[] | undefined {
  const dims = spatialAxes(window).map((axis) => value.dims?.[axis]);
  return dims.every((dim) => typeof dim === 'number') ? (dims as number[]) : undefined;
}

/** Writes the gradient, [M, C / group, ...kernel]. */
export function convWeightGradient(
  g: GradientEmitter,
  parts: ConvWeightParts,
  recipe: ConvWeightRecipe = chooseRecipe(parts),
): Value {
  return recipes[recipe](g, parts);
}

const recipes = Object.freeze({
  product: byProduct,
  taps: byTaps,
  shifts: byShifts,
  swapped: bySwap,
  plane: byPlane,
  rows: byRows,
});

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
  const { x, weight, group, window } = parts;
  const { begins, ends } = window;
  const pads = [0, 0, ...begins, 0, 0, ...ends];
  const [outputs, channels, ...kernel] = weight as [number, number, ...number[]];
  const padded = pads.some((pad) => pad !== 0) ? g.op('Pad', [x, g.ints(...pads)]) : x;
  const taps = tapsOf(window.kernel);
  const slices = taps.map((tap) => tapSlice(g, parts, padded, tap));
  if (isOneSample(parts) && group === 1 && channels * taps.length <= widestJoint) {
    const wide = { ...parts, weight: [outputs, channels * taps.length] };
    const all = tapProduct(g, wide, g.concat(slices, 1));
    const order = [0, 2, 1];
    return g.reshape(g.transpose(g.reshape(all, [outputs, taps.length, channels]), order), weight);
  }
  const products = slices.map((slice) =>
    g.reshape(tapProduct(g, parts, slice), [outputs, channels, 1]),
  );
  const joined = g.concat(products, 2);
  return kernel.length === 1 ? joined : g.reshape(joined, weight);
}

/**
 * Tap (i, j) pairs dY[h, w] with x[h + i - pad, w + j - pad]. With dY moved down by i - pad into the
 * rows of x, and x moved left by j - pad into the columns of dY, all taps are products of the two.
 * dY moves by whole rows, which lie one behind the other.
 */
function byShifts(g: GradientEmitter, parts: ConvWeightParts): Value {
  const { x, dy, xShape, dyShape, weight, group, window } = parts;
  const { kernel, dilations, begins } = window;
  const [outputs, channels] = weight as [number, number];
  const [height, width] = fixedPlane(xShape, window) as [number, number];
  const [rows, columns] = fixedPlane(dyShape, window) as [number, number];
  const flatDy = g.reshape(dy, [0, outputs, rows * columns]);
  const lowered = Array.from({ length: kernel[0]! }, (_, tap) => {
    const before = tap * dilations[0]! - begins[0]!;
    const after = height - rows - before;
    if (before === 0 && after === 0) return flatDy;
    return g.op('Pad', [flatDy, g.ints(0, 0, before * columns, 0, 0, after * columns)]);
  });
  const moved = Array.from({ length: kernel[1]! }, (_, tap) => {
    const before = begins[1]! - tap * dilations[1]!;
    const after = columns - width - before;
    if (before === 0 && after === 0) return x;
    return g.op('Pad', [x, g.ints(0, 0, 0, before, 0, 0, 0, after)]);
  });
  // Few channels make small products: one over all columns of the kernel is worth the copy, and one
  // over all rows too. ms of all products of 3x3, 128 samples, one thread, three / one: 16 to 16
  // channels of 32x32 15.0 / 10.2, 32 to 32 of 16x16 15.1 / 8.4, 64 to 64 of 8x8 10.3 / 12.5.
  const isJoined = group === 1 && channels * kernel[1]! <= widestJoint;
  if (isJoined) {
    const joined = g.concat(moved, 1);
    const wideColumns = channels * kernel[1]!;
    if (outputs * kernel[0]! <= widestJoint) {
      const all = tapProduct(
        g,
        { ...parts, weight: [outputs * kernel[0]!, wideColumns], dy: g.concat(lowered, 1) },
        joined,
      );
      const taps = g.reshape(all, [kernel[0]!, outputs, kernel[1]!, channels]);
      return g.transpose(taps, [1, 3, 0, 2]);
    }
    const wide = { ...parts, weight: [outputs, wideColumns] };
    const products = lowered.map((each) => tapProduct(g, { ...wide, dy: each }, joined));
    const all = g.reshape(g.concat(products, 1), [outputs, kernel[0]!, kernel[1]!, channels]);
    return g.transpose(all, [0, 3, 1, 2]);
  }
  const products = lowered.flatMap((each) =>
    moved.map((seen) =>
      g.reshape(tapProduct(g, { ...parts, dy: each }, seen), [outputs, channels, 1]),
    ),
  );
  return g.reshape(g.concat(products, 2), weight);
}

/** Most columns, and most rows, of a joined product, see byShifts. */
const widestJoint = 128;

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
    if (!isOneSample(parts)) {
      const axes = [0, ...spatialAxes(parts.window)];
      return g.reduce('ReduceSum', g.mul(seen, dy), axes, false);
    }
    // A row times a column per channel: a third of the time of a product and its sum.
    const row = (value: Value) => g.reshape(value, [group, 1, -1]);
    return g.op('MatMul', [row(seen), g.transposeLast(row(dy), 3)]);
  }
  const shape = (count: number) => (group === 1 ? [0, count, -1] : [0, group, count / group, -1]);
  const left = g.reshape(dy, shape(outputs));
  const right = g.reshape(seen, shape(channels * group));
  const product = g.op('MatMul', [left, g.transposeLast(right, group === 1 ? 3 : 4)]);
  // Of one sample nothing is left to sum.
  return isOneSample(parts)
    ? g.reshape(product, [outputs, channels])
    : g.reduce('ReduceSum', product, [0], false);
}

/** Whether there is one sample, or, in maps with the batch last, all lie in one. */
function isOneSample({ dyShape }: Pick<ConvWeightParts, 'dyShape'>): boolean {
  return dyShape.dims?.[0] === 1;
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

/**
 * The gradient of a convolution's weight, several ways to write it:
 *
 * - `product`, for kernels of one element: one matrix product per sample, summed.
 * - `taps`: for every element of the kernel a strided slice of the padded input and a matrix
 *   product with dY (for depthwise kernels an element-wise product and a sum, or of one
 *   sample a row times a column).
 * - `shifts`, for two axes and stride 1: x moved along one axis and dY along the other one, so
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
 * Tap (i, j) pairs dY[h, w] with x[h + i - pad, w + j - pad]: all taps are products of x moved along
 * one axis and dY moved along the other one, see `moveRowsOfX` and `moveColumnsOfX`.
 */
function byShifts(g: GradientEmitter, parts: ConvWeightParts): Value {
  const { weight, group, xShape, dyShape, window } = parts;
  const [outputs, channels, height, width] = weight as [number, number, number, number];
  const isAsWide = fixedPlane(xShape, window)![1] === fixedPlane(dyShape, window)![1];
  const { ofX, ofDy, axis } = isAsWide ? moveRowsOfX(g, parts) : moveColumnsOfX(g, parts);
  // The size of the kernel along the axis on which x moves, and along the other.
  const [own, other] = axis === 0 ? [height, width] : [width, height];
  // From [taps of dY, outputs, taps of x, channels] to [outputs, channels, height, width].
  const order = axis === 0 ? [1, 3, 2, 0] : [1, 3, 0, 2];
  // Few channels make small products: one over all taps of x is worth the copy, and one over all
  // taps of dY too. ms of all products of 3x3, 128 samples, one thread, three / one: 16 to 16
  // channels of 32x32 15.0 / 10.2, 32 to 32 of 16x16 15.1 / 8.4, 64 to 64 of 8x8 10.3 / 12.5.
  const isJoined = group === 1 && channels * own <= widestJoint;
  if (!isJoined) {
    const taps = tapsOf([height, width]);
    const products = taps.map((tap) => {
      const product = tapProduct(g, { ...parts, dy: ofDy[tap[1 - axis]!]! }, ofX[tap[axis]!]!);
      return g.reshape(product, [outputs, channels, 1]);
    });
    return g.reshape(g.concat(products, 2), weight);
  }
  const joined = g.concat(ofX, 1);
  const product = (dy: Value, rows: number) =>
    tapProduct(g, { ...parts, weight: [rows, channels * own], dy }, joined);
  if (outputs * other <= widestJoint) {
    const all = product(g.concat(ofDy, 1), outputs * other);
    return g.transpose(g.reshape(all, [other, outputs, own, channels]), order);
  }
  const products = ofDy.map((dy) => g.reshape(product(dy, outputs), [1, outputs, own, channels]));
  return g.transpose(g.concat(products, 0), order);
}

interface Moved {
  /** By the position in the kernel along `axis`, and along the other one; the spatial dims alike. */
  readonly ofX: readonly Value[];
  readonly ofDy: readonly Value[];
  /** Of the kernel: 0 for its rows. */
  readonly axis: 0 | 1;
}

/**
 * Where x and dY are equally wide every move is one of all places in their order, whatever the row,
 * and copies whole planes. What dY would take along into the next row is zero before it moves. Rows
 * copied one by one cost more: ms of a Pad for 128 samples, as here / by rows, 16 channels of 32x32
 * 0.55 / 0.66, 64 of 8x8 0.09 / 0.59.
 */
function moveRowsOfX(
  g: GradientEmitter,
  { x, dy, xShape, dyShape, weight, group, window }: ConvWeightParts,
): Moved {
  const { kernel, dilations, begins } = window;
  const [height, width] = fixedPlane(xShape, window) as [number, number];
  const [rows] = fixedPlane(dyShape, window) as [number];
  const flatX = g.reshape(x, [0, weight[1]! * group, height * width]);
  const flatDy = g.reshape(dy, [0, weight[0]!, rows * width]);
  const ofX = Array.from({ length: kernel[0]! }, (_, tap) => {
    const down = begins[0]! - tap * dilations[0]!;
    return padLast(g, flatX, 3, [down * width, (rows - height - down) * width]);
  });
  const ofDy = Array.from({ length: kernel[1]! }, (_, tap) => {
    const left = begins[1]! - tap * dilations[1]!;
    if (left === 0) return flatDy;
    const mask = Array.from({ length: rows * width }, (_, place) => {
      const column = (place % width) - left;
      return Number(column >= 0 && column < width);
    });
    const inside = g.constant(dy.dataType ?? 'float', [rows * width], mask);
    return padLast(g, g.mul(flatDy, inside), 3, [-left, left]);
  });
  return { ofX, ofDy, axis: 0 };
}

/** dY moved down into the rows of x by whole rows, and x moved into the columns of dY. */
function moveColumnsOfX(
  g: GradientEmitter,
  { x, dy, xShape, dyShape, weight, window }: ConvWeightParts,
): Moved {
  const { kernel, dilations, begins } = window;
  const [height, width] = fixedPlane(xShape, window) as [number, number];
  const [rows, columns] = fixedPlane(dyShape, window) as [number, number];
  const flatDy = g.reshape(dy, [0, weight[0]!, rows * columns]);
  const ofDy = Array.from({ length: kernel[0]! }, (_, tap) => {
    const down = tap * dilations[0]! - begins[0]!;
    return padLast(g, flatDy, 3, [down * columns, (height - rows - down) * columns]);
  });
  const ofX = Array.from({ length: kernel[1]! }, (_, tap) => {
    const right = begins[1]! - tap * dilations[1]!;
    return padLast(g, x, 4, [right, columns - width - right]);
  });
  return { ofX, ofDy, axis: 1 };
}

/** Zeros at both ends of the last axis of so many; what is negative is cut off. */
function padLast(
  g: GradientEmitter,
  value: Value,
  rank: number,
  [before, after]: readonly [number, number],
): Value {
  if (before === 0 && after === 0) return value;
  const others = Array(rank - 1).fill(0);
  return g.op('Pad', [value, g.ints(...others, before, ...others, after)]);
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

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
import {
  type ConvWeightParts,
  fixedPlane,
  isOneSample,
  tapProduct,
  widestJoint,
} from './conv-weight-parts.js';
import { byPlane, byRows } from './depthwise-weight.js';
import type { GradientEmitter } from './rule.js';
import { byShifts } from './shifts-weight.js';
import { spatialAxes, tapsOf, type Window } from './window.js';

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
  const isSmall = side <= 7 || (channels <= 4 && !isOneSample(parts));
  const isSwapped = isSmall && (group === 1 || isStrided);
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

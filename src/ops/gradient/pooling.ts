import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { expand, type GradientEmitter, type GradientTable, rule } from './rule.js';
import { identityOf, scatterToPositions } from './slice.js';
import { reach, repeat, spatialAxes, tapsOf, type Window, windowOf } from './window.js';

const maxPool = rule((g, node) => [
  () => {
    const x = node.input(0);
    if (isTiling(g, node)) return maxPoolByTiles(g, node);
    if (!g.scatter) return maxPoolByTaps(g, node);
    return scatterToPositions(g, x, maxIndices(g, node), g.grad());
  },
]);

/** Whether the windows lie side by side and cover everything, in a type that Resize takes. */
function isTiling(g: GradientEmitter, node: Node): boolean {
  const [x, y] = [node.input(0), node.output()];
  if (g.type !== 'float' || x.dataType !== 'float') return false;
  const { kernel, strides, dilations, begins, ends } = windowOf(node, x);
  return kernel.every(
    (size, axis) =>
      strides[axis] === size &&
      (size === 1 || dilations[axis] === 1) &&
      begins[axis] === 0 &&
      ends[axis] === 0 &&
      typeof x.dims?.[axis + 2] === 'number' &&
      x.dims[axis + 2] === size * Number(y.dims?.[axis + 2]),
  );
}

/**
 * Windows side by side: output and gradient are enlarged and compared, ties share the gradient.
 * That leaves the forward pass without indices, with which it takes 20 times as long (3.6 against
 * 0.18 ms for 64 x 20 pictures of 24x24, 2x2, one thread; this takes 0.8, the scatter 0.6).
 */
function maxPoolByTiles(g: GradientEmitter, node: Node): Value {
  const { kernel } = windowOf(node, node.input(0));
  const scales = g.constant('float', [kernel.length + 2], [1, 1, ...kernel]);
  const enlarge = (value: Value) =>
    g.op('Resize', [value, undefined, scales], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    });
  const isMaximum = g.cast(g.op('Equal', [g.input(), enlarge(g.output())]));
  const pool = { kernel_shape: kernel, strides: kernel };
  const count = g.mul(
    g.op('AveragePool', [isMaximum], pool),
    kernel.reduce((product, size) => product * size, 1),
  );
  return g.mul(isMaximum, enlarge(g.div(g.grad(), count)));
}

/** Places of the maxima in the flattened input. In column order they count differently. */
function maxIndices(g: GradientEmitter, node: Node): Value {
  if (node.int('storage_order', 0) === 0) return g.extraOutput(1, 'Indices');
  const attributes: Record<string, number[] | number | string> = {
    auto_pad: node.string('auto_pad', 'NOTSET'),
    ceil_mode: node.int('ceil_mode', 0),
  };
  for (const name of ['kernel_shape', 'strides', 'dilations', 'pads']) {
    if (node.has(name)) attributes[name] = node.ints(name);
  }
  return g.ops('MaxPool', [node.input(0)], 2, attributes)[1]!;
}

function maxPoolByTaps(g: GradientEmitter, node: Node): Value {
  const x = node.input(0);
  const window = windowOf(node, x);
  const axes = spatialAxes(window);
  const { kernel, strides, dilations, begins } = window;
  const places = g.staticDims(node.output(), 2);
  const dims = g.staticDims(x, 2);
  // As far as the last window reaches, which ceil_mode takes beyond the pads.
  const wanted = places.map((count, axis) => (count - 1) * strides[axis]! + reach(window, axis));
  const after = wanted.map((size, axis) => Math.max(0, size - dims[axis]! - begins[axis]!));
  const pads = g.ints(0, 0, ...begins, 0, 0, ...after);
  const lowest = g.scalar(-3.4028234663852886e38);
  const padded = g.op('Pad', [g.input(), pads, lowest]);
  const taps = tapsOf(kernel);
  const masks = taps.map((tap) => {
    const starts = tap.map((position, axis) => position * dilations[axis]!);
    const stops = starts.map((start, axis) => start + (places[axis]! - 1) * strides[axis]! + 1);
    const seen = g.slice(padded, starts, stops, axes, strides);
    return g.cast(g.op('Equal', [seen, g.output()]));
  });
  const share = g.div(g.grad(), g.sum(masks));
  const parts = masks.map((mask) => g.reshape(g.mul(mask, share), [-1, 1, ...places]));
  const unit = g.constant(g.type, [taps.length, 1, ...kernel], identityOf(taps.length));
  const full = g.op('ConvTranspose', [g.concat(parts, 1), unit], { strides, dilations });
  return cropped(g, full, window, x, wanted);
}

/** Cuts the pads off a tensor [images, 1, ...] that covers all windows; zeros where none was. */
function cropped(
  g: GradientEmitter,
  full: Value,
  window: Window,
  x: Value,
  covered: readonly number[],
): Value {
  const dims = g.staticDims(x, 2);
  const { begins, rank } = window;
  const missing = dims.map((dim, axis) => Math.max(0, dim + begins[axis]! - covered[axis]!));
  const padded = missing.some((amount) => amount > 0)
    ? g.op('Pad', [full, g.ints(...repeat(rank + 2, 0), 0, 0, ...missing)])
    : full;
  const stops = begins.map((begin, axis) => begin + dims[axis]!);
  return g.reshapeLike(g.slice(padded, begins, stops, spatialAxes(window)), x);
}

const averagePool = rule((g, node) => [
  () => {
    const x = node.input(0);
    const window = windowOf(node, x);
    const { kernel, strides, dilations } = window;
    const places = g.staticDims(node.output(), 2);
    const counts = windowCounts(window, g.staticDims(x, 2), places, {
      includePad: node.int('count_include_pad', 0) === 1,
    });
    const first = counts[0]!;
    const isEven = counts.every((count) => count === first);
    const share = isEven
      ? g.div(g.grad(), first)
      : g.div(g.grad(), g.constant(g.type, [1, 1, ...places], counts));
    const images = g.reshape(share, [-1, 1, ...places]);
    const taps = tapsOf(kernel).length;
    const ones = g.constant(g.type, [1, 1, ...kernel], repeat(taps, 1));
    const full = g.op('ConvTranspose', [images, ones], { strides, dilations });
    const covered = places.map((count, axis) => (count - 1) * strides[axis]! + reach(window, axis));
    return cropped(g, full, window, x, covered);
  },
]);

/** How many elements each window averages, in the order of the output's places. */
function windowCounts(
  window: Window,
  dims: readonly number[],
  places: readonly number[],
  { includePad }: { includePad: boolean },
): number[] {
  const { kernel, strides, dilations, begins, ends } = window;
  const along = places.map((count, axis) =>
    Array.from({ length: count }, (_, place) => {
      const start = place * strides[axis]! - begins[axis]!;
      const low = includePad ? -begins[axis]! : 0;
      const high = dims[axis]! + (includePad ? ends[axis]! : 0);
      let seen = 0;
      for (let tap = 0; tap < kernel[axis]!; tap++) {
        const at = start + tap * dilations[axis]!;
        if (at >= low && at < high) seen++;
      }
      return seen;
    }),
  );
  return along.reduce<number[]>(
    (products, counts) => products.flatMap((product) => counts.map((count) => product * count)),
    [1],
  );
}

const globalAveragePool = rule((g, node) => [
  () => {
    const x = node.input(0);
    const [all, kept] = [g.size(x), g.size(node.output())];
    const share =
      typeof all === 'number' && typeof kept === 'number'
        ? g.mul(g.grad(), kept / all)
        : g.div(g.mul(g.grad(), kept), all);
    return g.expandLike(share, x);
  },
]);

/** Elements that equal the maximum share the gradient. */
const globalMaxPool = rule((g, node) => [
  () => {
    const isMaximum = g.cast(g.op('Equal', [g.input(), g.output()]));
    const axes = Array.from({ length: g.rankOf(node.input(0)) - 2 }, (_, axis) => axis + 2);
    return g.mul(isMaximum, g.div(g.grad(), g.reduce('ReduceSum', isMaximum, axes)));
  },
]);

/** (Σ |x|^p)^(1/p), the sum as an average over a window that counts the pads. */
const lpPool = expand((e, node) => {
  const p = node.int('p', 2);
  const kernel = node.ints('kernel_shape');
  const attributes: Record<string, number[] | number | string> = {
    auto_pad: node.string('auto_pad', 'NOTSET'),
    ceil_mode: node.int('ceil_mode', 0),
    kernel_shape: kernel,
    count_include_pad: 1,
  };
  for (const name of ['strides', 'dilations', 'pads']) {
    if (node.has(name)) attributes[name] = node.ints(name);
  }
  const power = e.op('Pow', [e.op('Abs', [node.input(0)]), p]);
  const mean = e.op('AveragePool', [power], attributes);
  const count = kernel.reduce((product, size) => product * size, 1);
  return [e.op('Pow', [e.mul(mean, count), 1 / p])];
});

const globalLpPool = expand((e, node) => {
  const x = node.input(0);
  const p = node.int('p', 2);
  const axes = Array.from({ length: (x.dims?.length ?? 4) - 2 }, (_, axis) => axis + 2);
  const sum = e.reduce('ReduceSum', e.op('Pow', [e.op('Abs', [x]), p]), axes);
  return [e.op('Pow', [sum, 1 / p])];
});

/** x / (bias + alpha / size Σ x²)^beta, the sum over `size` channels around each. */
const localResponse = expand((e, node) => {
  const x = node.input(0);
  const size = node.int('size');
  const before = Math.floor((size - 1) / 2);
  const flat = e.reshape(e.square(x), [0, 1, e.dim(x, 1), -1]);
  const mean = e.op('AveragePool', [flat], {
    kernel_shape: [size, 1],
    pads: [before, 0, size - 1 - before, 0],
    count_include_pad: 1,
  });
  const alpha = node.float('alpha', 1e-4);
  const scale = e.add(e.mul(e.reshapeLike(mean, x), alpha), node.float('bias', 1));
  return [e.div(x, e.op('Pow', [scale, node.float('beta', 0.75)]))];
});

export const poolingGradients: GradientTable = Object.freeze({
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
  GlobalLpPool: globalLpPool,
  LRN: localResponse,
});

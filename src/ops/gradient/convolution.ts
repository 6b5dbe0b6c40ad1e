/**
 * Gradients of Conv and ConvTranspose of any rank, with groups, strides, dilations and pads.
 * The input gradient of a convolution is a convolution with turned weights where the stride is 1
 * and the output about as large as the input, and a ConvTranspose where it is not: that one costs
 * by the places of the output, and 1.1 to 1.7 times as much per place. ms, one thread, turned /
 * transposed: 16 to 16 channels of 32x32, 3x3, padded 8.6 / 14.3; 64 to 64 of 14x14, not padded
 * 7.6 / 5.2; 20 to 50 of 12x12, 5x5, not padded 10.1 / 1.8.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { fixedDims } from '../fixed-dims.js';
import { activate } from './activation-names.js';
import { byPhases } from './conv-phases.js';
import { convWeightGradient } from './conv-weight.js';
import { expand, type GradientEmitter, type GradientTable, rule } from './rule.js';
import { reach, repeat, spatialAxes, transposedWindowOf, type Window, windowOf } from './window.js';

function weightDims(g: GradientEmitter, node: Node): number[] {
  return g.staticDims(node.input(1));
}

const conv = rule((g, node) => {
  const [x, y] = [node.input(0), node.output()];
  const weight = weightDims(g, node);
  const group = node.int('group', 1);
  const window = windowOf(node, x, weight.slice(2));
  const bias = node.inputs[2];
  return [
    () => inputGradient(g, { node, weight, group, window }),
    () =>
      convWeightGradient(g, {
        x: g.input(0),
        dy: g.grad(),
        xShape: x,
        dyShape: y,
        weight,
        group,
        window,
      }),
    bias && (() => g.reduce('ReduceSum', g.grad(), [0, ...spatialAxes(window)], false)),
  ];
});

interface ConvParts {
  readonly node: Node;
  readonly weight: readonly number[];
  readonly group: number;
  readonly window: Window;
}

function inputGradient(g: GradientEmitter, parts: ConvParts): Value {
  const { node, window } = parts;
  const { kernel, strides, begins, ends } = window;
  const isUnit = strides.every((stride) => stride === 1);
  const fits = kernel.every((_, axis) => {
    const most = reach(window, axis) - 1;
    return begins[axis]! <= most && ends[axis]! <= most;
  });
  if (isUnit && fits && !shrinks(node)) return byTurnedConv(g, parts);
  const phases = isUnit ? undefined : depthwisePhases(g, parts);
  return phases ? phases(g) : byConvTranspose(g, parts);
}

/**
 * Undefined for other convolutions, where a dim is not fixed, and where phases of the last axis
 * would have to be put beside one another: transposes that move single elements take more time than
 * everything else.
 */
function depthwisePhases(g: GradientEmitter, { node, weight, group, window }: ConvParts) {
  const [channels, perGroup] = weight as [number, number];
  if (perGroup !== 1 || group !== channels || group === 1) return undefined;
  if (window.strides.at(-1) !== 1) return undefined;
  const [from, to] = [node.input(0), node.output()].map((value) => fixedDims(value)?.slice(2));
  if (!from || !to) return undefined;
  return byPhases({ dy: g.grad(), weight: g.input(1), channels, window, from, to });
}

/** Whether the output has clearly fewer places than the input, as far as the dims are fixed. */
function shrinks(node: Node): boolean {
  const places = ({ dims }: Value) =>
    dims?.slice(2).reduce<number>((n, dim) => (typeof dim === 'number' ? n * dim : Number.NaN), 1);
  return places(node.input(0))! > 1.15 * places(node.output())!;
}

/** A convolution with the weights turned around and inputs and outputs swapped. */
function byTurnedConv(g: GradientEmitter, { weight, group, window }: ConvParts): Value {
  const { kernel, dilations, begins, ends } = window;
  const [outputs, channels] = weight as [number, number];
  const axes = spatialAxes(window);
  const isPoint = kernel.every((size) => size === 1);
  const turned = isPoint
    ? g.input(1)
    : g.slice(
        g.input(1),
        kernel.map(() => -1),
        kernel.map(() => -Number.MAX_SAFE_INTEGER),
        axes,
        kernel.map(() => -1),
      );
  let swapped: Value;
  if (group === 1) swapped = g.transpose(turned, [1, 0, ...axes]);
  else {
    const grouped = g.reshape(turned, [group, outputs / group, channels, ...kernel]);
    const moved = g.transpose(grouped, [0, 2, 1, ...axes.map((axis) => axis + 1)]);
    swapped = g.reshape(moved, [group * channels, outputs / group, ...kernel]);
  }
  const most = kernel.map((_, axis) => reach(window, axis) - 1);
  return g.op('Conv', [g.grad(), swapped], {
    dilations,
    group,
    pads: [
      ...most.map((pad, axis) => pad - begins[axis]!),
      ...most.map((pad, axis) => pad - ends[axis]!),
    ],
  });
}

/** What the stride left over at the end is output_padding, or cut off where no dim is fixed. */
function byConvTranspose(g: GradientEmitter, { node, group, window }: ConvParts): Value {
  const { rank, strides, dilations, begins, ends } = window;
  const [x, y] = [node.input(0), node.output()];
  const inputs = [g.grad(), g.input(1)];
  const rest = strides.map((stride, axis) => {
    const [from, to] = [x.dims?.[axis + 2], y.dims?.[axis + 2]];
    if (typeof from !== 'number' || typeof to !== 'number') return undefined;
    return from + begins[axis]! + ends[axis]! - ((to - 1) * stride + reach(window, axis));
  });
  const fits = rest.every(
    (amount, axis) =>
      amount !== undefined && amount >= 0 && amount < Math.max(strides[axis]!, dilations[axis]!),
  );
  if (fits) {
    return g.op('ConvTranspose', inputs, {
      strides,
      dilations,
      group,
      pads: [...begins, ...ends],
      output_padding: rest as number[],
    });
  }
  const full = g.op('ConvTranspose', inputs, {
    strides,
    dilations,
    group,
    output_padding: strides.map((stride) => stride - 1),
  });
  // A window that never reached the end leaves more than the stride.
  const zeros = g.op('Pad', [full, g.ints(0, 0, ...repeat(rank + 2, 0), ...ends)]);
  const stops = begins.map((begin, axis) => g.addInts(g.dim(x, axis + 2), begin));
  return g.slice(zeros, begins, stops, spatialAxes(window));
}

const convTranspose = rule((g, node) => {
  const [x, y] = [node.input(0), node.output()];
  const weight = weightDims(g, node);
  const group = node.int('group', 1);
  const window = transposedWindowOf(node, x, y, weight.slice(2));
  const { kernel, strides, dilations, begins, ends } = window;
  const bias = node.inputs[2];
  return [
    () => {
      const dx = g.op('Conv', [g.grad(), g.input(1)], {
        kernel_shape: kernel,
        strides,
        dilations,
        group,
        pads: [...begins, ...ends],
      });
      const extra = node.ints('output_padding', repeat(window.rank, 0));
      if (extra.every((amount, axis) => amount < strides[axis]!) && !node.has('output_shape')) {
        return dx;
      }
      const stops = kernel.map((_, axis) => g.dim(x, axis + 2));
      return g.slice(dx, repeat(window.rank, 0), stops, spatialAxes(window));
    },
    // The weight is that of the convolution that takes y to x.
    () =>
      convWeightGradient(g, {
        x: g.grad(),
        dy: g.input(0),
        xShape: y,
        dyShape: x,
        weight,
        group,
        window,
      }),
    bias && (() => g.reduce('ReduceSum', g.grad(), [0, ...spatialAxes(window)], false)),
  ];
});

/** Conv, an optional sum with input 3, an activation by name. */
const fusedConv = expand((e, node) => {
  const attributes: Record<string, string | number[] | number> = {
    auto_pad: node.string('auto_pad', 'NOTSET'),
    group: node.int('group', 1),
  };
  for (const name of ['kernel_shape', 'strides', 'dilations', 'pads']) {
    if (node.has(name)) attributes[name] = node.ints(name);
  }
  const product = e.op('Conv', node.inputs.slice(0, 3), attributes);
  const sum = node.inputs[3] ? e.add(product, node.inputs[3]) : product;
  const name = node.string('activation', '');
  if (name === '') return [sum];
  const [alpha, beta] = node.floats('activation_params', []);
  return [activate(e, name, sum, alpha, beta)];
});

export const convolutionGradients: GradientTable = Object.freeze({
  Conv: conv,
  ConvTranspose: convTranspose,
  'com.microsoft:FusedConv': fusedConv,
});

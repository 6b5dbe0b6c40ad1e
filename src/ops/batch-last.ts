/**
 * Operators on maps with the batch as the last axis, [C, H, W, N], in place of [N, C, H, W]. A
 * depthwise convolution is then a convolution along [H, W N] with dilation N: rows are long, and
 * the runtime gathers its windows in long copies, once per channel in place of once per channel and
 * sample. Convolutions of 1x1 are one matrix product over all samples. Gradients are in the same
 * layout, since they follow from these nodes.
 *
 * ms of one thread, batch 32, [N, C, H, W] / [C, H, W, N]: depthwise 3x3 forward, 32 channels of
 * 24x24 1.53 / 1.12, 64 of 12x12 1.13 / 0.45, stride 2 on 32 of 24x24 0.73 / 0.39; a stem of 3 to 8
 * channels with stride 2 on 96x96 2.20 / 1.35; 1x1, 256 to 256 channels of 3x3, 0.67 / 0.39. With
 * the batch second, [C, N, H, W], depthwise convolutions are slower than either.
 */
import type { Emitter } from '../graph/emitter.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { elementCount } from '../onnx/data-type.js';
import { fixedDims } from './fixed-dims.js';
import { windowOf } from './gradient/window.js';
import { asPlane } from './product-form.js';

export interface BatchLastForm {
  /** Places of the inputs that are maps. */
  readonly maps: readonly number[];
  /** Whether it is much faster so. The others are carried along beside such ones. */
  readonly gains: boolean;
  /** Given the maps as [C, ..., N]; other inputs are those of the node. Returns [C, ..., N]. */
  readonly write: (e: Emitter, maps: readonly Value[]) => Value;
}

type FormOf = (node: Node) => BatchLastForm | undefined;

/** Fewer samples make rows that are too short. */
const leastBatch = 16;
/** Channels up to which a convolution over all of them is faster too: those of pictures. */
const fewChannels = 4;

const conv: FormOf = (node) => {
  const [x, w, y] = [node.input(0), node.input(1), node.output()];
  const [from, weight, to] = [x, w, y].map(fixedDims);
  if (!from || !weight || !to) return undefined;
  const [batch, channels, ...seen] = from as [number, number, ...number[]];
  const [outputs, perGroup, ...kernel] = weight as [number, number, ...number[]];
  const window = windowOf(node, x, kernel);
  const { rank, strides, dilations, begins, ends } = window;
  const group = node.int('group', 1);
  const isUnit = strides.every((stride) => stride === 1);
  const isPoint =
    group === 1 &&
    isUnit &&
    [...begins, ...ends].every((pad) => pad === 0) &&
    elementCount(kernel) === 1;
  const isDepthwise = channels > 1 && group === channels && outputs === channels && perGroup === 1;
  if (!isPoint && !isDepthwise && !(group === 1 && channels <= fewChannels)) return undefined;
  if (rank < 1 || rank > 2) return undefined;
  const given = [outputs, ...to.slice(2), batch];
  const bias = node.inputs[2];
  const plane = isDepthwise ? asPlane(node, 'last') : undefined;
  return {
    maps: [0],
    gains: isDepthwise,
    write: (e, [map]) => {
      if (plane) return plane(e, map!);
      const run = (dims: readonly number[], weights: Value, attributes: Record<string, number[]>) =>
        e.reshape(
          e.op('Conv', [e.reshape(map!, dims), weights, bias], { ...attributes, group }),
          given,
        );
      if (isPoint) {
        const ones = kernel.slice(1);
        return run([1, channels, ...ones, elementCount(seen) * batch], w, { kernel_shape: kernel });
      }
      if (strides.at(-1) === 1) {
        const wide = (numbers: readonly number[]) => numbers.with(-1, numbers.at(-1)! * batch);
        return run([1, channels, ...wide(seen)], w, {
          kernel_shape: kernel,
          strides: [...strides],
          dilations: wide(dilations),
          pads: [...wide(begins), ...wide(ends)],
        });
      }
      // Steps of the last axis cannot step over the batch: it is an axis of its own.
      return run([1, channels, ...seen, batch], e.reshape(w, [...weight, 1]), {
        kernel_shape: [...kernel, 1],
        strides: [...strides, 1],
        dilations: [...dilations, 1],
        pads: [...begins, 0, ...ends, 0],
      });
    },
  };
};

/** Every element by itself; other inputs are numbers for the whole map. */
const unary: FormOf = (node) => ({
  maps: [0],
  gains: false,
  write: (e, [map]) => again(e, node, [map!, ...node.inputs.slice(1)]),
});

/** Two maps, which may be broadcast, or a map and one number. */
const binary: FormOf = (node) => {
  const rank = node.output().dims!.length;
  const inputs = [node.input(0), node.input(1)];
  const maps = [0, 1].filter((at) => fixedDims(inputs[at]!)?.length === rank);
  const others = [0, 1].filter((at) => !maps.includes(at));
  const areNumbers = others.every((at) => {
    const dims = fixedDims(inputs[at]!);
    return dims && elementCount(dims) === 1;
  });
  if (maps.length === 0 || !areNumbers) return undefined;
  return {
    maps,
    gains: false,
    write: (e, moved) => {
      const all = inputs.map((input, at) => (maps.includes(at) ? moved[maps.indexOf(at)]! : input));
      return again(e, node, all);
    },
  };
};

/** One sample of all places: normalization is over batch and places alike. */
const batchNormalization: FormOf = (node) => {
  const dims = fixedDims(node.input(0));
  if (!dims || node.outputs.slice(1).some((output) => output)) return undefined;
  return {
    maps: [0],
    gains: false,
    write: (e, [map]) => {
      const flat = e.reshape(map!, [1, dims[1]!, -1]);
      const result = again(e, node, [flat, ...node.inputs.slice(1)]);
      return e.reshape(result, [...dims.slice(1), dims[0]!]);
    },
  };
};

const globalAveragePool: FormOf = (node) => {
  const rank = node.output().dims!.length;
  const axes = Array.from({ length: rank - 2 }, (_, axis) => axis + 1);
  return { maps: [0], gains: false, write: (e, [map]) => e.reduce('ReduceMean', map!, axes) };
};

/** The node with other inputs. */
function again(e: Emitter, node: Node, inputs: readonly (Value | undefined)[]): Value {
  return e.op(node.op, inputs, Object.fromEntries(node.attributes));
}

const unaries = [
  'Abs',
  'Celu',
  'Clip',
  'Elu',
  'Gelu',
  'HardSigmoid',
  'HardSwish',
  'Identity',
  'LeakyRelu',
  'Mish',
  'Neg',
  'Relu',
  'Selu',
  'Sigmoid',
  'Softplus',
  'Tanh',
];

const forms: Readonly<Record<string, FormOf>> = Object.freeze({
  Conv: conv,
  ...Object.fromEntries(unaries.map((name) => [name, unary])),
  ...Object.fromEntries(['Add', 'Sub', 'Mul', 'Div'].map((name) => [name, binary])),
  BatchNormalization: batchNormalization,
  GlobalAveragePool: globalAveragePool,
});

/** How a node of maps is written with the batch last; undefined where it cannot or a dim is open. */
export function batchLastFormOf(node: Node): BatchLastForm | undefined {
  const formOf = Object.hasOwn(forms, node.op) ? forms[node.op]! : undefined;
  const output = node.outputs[0];
  if (!formOf || output?.dataType !== 'float') return undefined;
  const dims = fixedDims(output);
  if (!dims || dims.length < 3 || dims.length > 4 || dims[0]! < leastBatch) return undefined;
  return formOf(node);
}

/**
 * Convolutions in the blocked layout of ONNX Runtime's CPU kernels, [N, C / b, H, W, b] with b
 * channels side by side: how weights lie there, and which convolutions have a kernel. The layout
 * is that of MLAS (`MlasReorderFilterOIHWBiBo` and its kin); inference gets it by itself, but only
 * for weights that are constants. See src/train/blocked.
 */
import type { Attributes, Emitter } from '../graph/emitter.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { elementCount } from '../onnx/data-type.js';
import { fixedDims } from './fixed-dims.js';
import { windowOf } from './gradient/window.js';

/** The operators of the blocked layout, and of the ways into and out of it. */
export const blockedOps = Object.freeze({
  conv: 'com.microsoft.nchwc:Conv',
  enter: 'com.microsoft.nchwc:ReorderInput',
  leave: 'com.microsoft.nchwc:ReorderOutput',
});
export const blockedDomain = 'com.microsoft.nchwc';

export interface BlockedForm {
  /** What makes the result; its inputs 0 and 1 are blocked, the others are as they were. */
  readonly op: string;
  readonly attributes: Attributes;
  /** Whether the input comes as it is, [N, C, H, W]: it has fewer channels than a block. */
  readonly takesPlain: boolean;
  /** The weight as the kernel reads it; the dims say what they said before. */
  readonly weight: (e: Emitter, weight: Value) => Value;
}

/** How a node is written for blocks of so many channels; undefined where that has no kernel. */
export type BlockedRule = (node: Node, block: number) => BlockedForm | undefined;

const conv: BlockedRule = (node, block) => {
  const [x, w, y] = [node.input(0), node.input(1), node.output()];
  const [from, weight, to] = [x, w, y].map(fixedDims);
  if (from?.length !== 4 || weight?.length !== 4 || to?.length !== 4) return undefined;
  if ([x, w, y].some(({ dataType }) => dataType !== 'float')) return undefined;
  const [outputs, channels] = weight as [number, number];
  const group = node.int('group', 1);
  if (outputs % block !== 0) return undefined;
  const { kernel, strides, dilations, begins, ends } = windowOf(node, x, weight.slice(2));
  const attributes = {
    group,
    kernel_shape: kernel,
    strides,
    dilations,
    pads: [...begins, ...ends],
  };
  const form = { op: blockedOps.conv, attributes };
  if (group > 1) {
    const isDepthwise = channels === 1 && outputs === group && from[1] === group;
    return isDepthwise ? { ...form, takesPlain: false, weight: byOutputs() } : undefined;
  }
  if (channels < block) return { ...form, takesPlain: true, weight: byOutputs() };
  if (channels % block !== 0) return undefined;
  return { ...form, takesPlain: false, weight: byInputsAndOutputs(block) };
};

/** What the kernel applies to its result at no cost, by the operator that it replaces. */
const activations: Readonly<Record<string, string>> = Object.freeze({
  Relu: 'Relu',
  Sigmoid: 'Sigmoid',
  Tanh: 'Tanh',
});

/** The `activation` of a blocked convolution that stands for this node behind it. */
export function blockedActivationOf({ op }: Node): string | undefined {
  return Object.hasOwn(activations, op) ? activations[op] : undefined;
}

const rules: Readonly<Record<string, BlockedRule>> = Object.freeze({ Conv: conv });

export function blockedFormOf(node: Node, block: number): BlockedForm | undefined {
  return Object.hasOwn(rules, node.op) ? rules[node.op]!(node, block) : undefined;
}

/**
 * [M, I, kH, kW] as [M / b, I, kH, kW, b]: what the way in does to a tensor of M channels. It is five
 * times as fast as a Transpose.
 */
function byOutputs(): BlockedForm['weight'] {
  return (e, weight) => {
    const dims = weight.dims as number[];
    const count = elementCount(dims.slice(1));
    const flat = e.reshape(weight, [1, dims[0]!, count, 1]);
    return e.reshape(e.op(blockedOps.enter, [flat]), dims);
  };
}

/** [M, C, kH, kW] as [M / b, C / b, kH, kW, b of C, b of M]. */
function byInputsAndOutputs(block: number): BlockedForm['weight'] {
  return (e, weight) => {
    const dims = weight.dims as [number, number, number, number];
    const entered = byOutputs()(e, weight);
    const taps = dims[2] * dims[3];
    if (taps === 1) return entered;
    const split = e.reshape(entered, [-1, block, taps, block]);
    return e.reshape(e.transpose(split, [0, 2, 1, 3]), dims);
  };
}

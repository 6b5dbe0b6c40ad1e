/**
 * What the rows of a weight are multiplied with: for a convolution the window of its input at one
 * output position, for Gemm a row of its input. Reads single windows of tensors that came out of
 * the runtime; source of the geometry: Conv in the ONNX operator specification.
 */
import type { HostTensor } from '../engine/engine.js';
import { float32Of } from '../engine/host-tensor.js';
import type { Node } from '../graph/node.js';

export interface PatchLayout {
  /** Groups whose rows see different features. */
  readonly groups: number;
  /** Features that one row of the weight sees. */
  readonly features: number;
  /** Windows of one tensor. */
  positions(input: HostTensor): number;
  /** Writes window `position` of all groups to `into`, from `offset`: [groups, features]. */
  read(input: HostTensor, position: number, into: Float32Array, offset: number): void;
}

type Describe = (
  node: Node,
  weightDims: readonly number[],
) => PatchLayout | { readonly reason: string };

/** By operator: all whose weight rows can be rounded by their inputs. */
export const patchLayouts: Readonly<Record<string, Describe>> = Object.freeze({
  Conv: convolutionPatches,
  Gemm: matrixPatches,
  MatMul: rowPatches,
});

/** The last axis, whatever is before it. A weight on the left is multiplied with columns. */
function rowPatches(node: Node, dims: readonly number[]): PatchLayout | { reason: string } {
  if (!node.constantInput(1)) return { reason: 'its weight is the left operand' };
  return axisPatches(dims[0]!, -1);
}

function matrixPatches(node: Node, dims: readonly number[]): PatchLayout | { reason: string } {
  if (node.int('transA', 0) !== 0) return { reason: 'its input is transposed' };
  return axisPatches(dims[node.int('transB', 0) ? 1 : 0]!, -1);
}

/** One window per place along the other axes: the features lie along `axis` of the input. */
export function axisPatches(features: number, axis: number, groups = 1): PatchLayout {
  const innerOf = ({ dims }: HostTensor) =>
    dims.slice(axis < 0 ? dims.length + axis + 1 : axis + 1).reduce((total, dim) => total * dim, 1);
  const width = groups * features;
  return {
    groups,
    features,
    positions: ({ data }) => data.length / width,
    read(input, position, into, offset) {
      const values = float32Of(input);
      const inner = innerOf(input);
      let from = Math.floor(position / inner) * width * inner + (position % inner);
      for (let i = 0; i < width; i++, from += inner) into[offset + i] = values[from]!;
    },
  };
}

/** Windows of a convolution over one or two axes, for a weight of these dims. */
export function convolutionPatches(
  node: Node,
  [, perGroup = 0, ...kernel]: readonly number[],
): PatchLayout | { reason: string } {
  if (kernel.length > 2) return { reason: `it is a convolution over ${kernel.length} axes` };
  const one = kernel.map(() => 1);
  const strides = node.ints('strides', one);
  const dilations = node.ints('dilations', one);
  const pads = node.ints('pads', [...one, ...one].fill(0));
  const autoPad = node.string('auto_pad', 'NOTSET');
  const groups = node.int('group', 1);
  const taps = kernel.reduce((product, size) => product * size, 1);
  /** Axes as [height, width]; a convolution over one axis has height 1. */
  const axes = (input: HostTensor) => {
    const found = kernel.map((size, axis) => {
      const length = input.dims[2 + axis]!;
      const stride = strides[axis]!;
      const dilation = dilations[axis]!;
      const reach = dilation * (size - 1) + 1;
      const same = autoPad.startsWith('SAME');
      const explicit = autoPad === 'NOTSET' ? pads[axis]! + pads[kernel.length + axis]! : 0;
      const count = same
        ? Math.ceil(length / stride)
        : Math.floor((length + explicit - reach) / stride) + 1;
      const total = Math.max(0, (count - 1) * stride + reach - length);
      const samePad = autoPad === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2);
      const pad = same ? samePad : autoPad === 'NOTSET' ? pads[axis]! : 0;
      return { size, length, stride, dilation, count, pad };
    });
    const flat = { size: 1, length: 1, stride: 1, dilation: 1, count: 1, pad: 0 };
    return found.length === 1 ? ([flat, found[0]!] as const) : ([found[0]!, found[1]!] as const);
  };
  return {
    groups,
    features: perGroup * taps,
    positions(input) {
      const [height, width] = axes(input);
      return input.dims[0]! * height.count * width.count;
    },
    read(input, position, into, offset) {
      const [height, width] = axes(input);
      const values = float32Of(input);
      const channels = perGroup * groups;
      const column = position % width.count;
      const row = Math.floor(position / width.count) % height.count;
      const sample = Math.floor(position / (width.count * height.count));
      let at = offset;
      for (let channel = 0; channel < channels; channel++) {
        const plane = (sample * channels + channel) * height.length * width.length;
        for (let i = 0; i < height.size; i++) {
          const y = row * height.stride - height.pad + i * height.dilation;
          for (let j = 0; j < width.size; j++) {
            const x = column * width.stride - width.pad + j * width.dilation;
            const inside = y >= 0 && y < height.length && x >= 0 && x < width.length;
            into[at++] = inside ? values[plane + y * width.length + x]! : 0;
          }
        }
      }
    },
  };
}

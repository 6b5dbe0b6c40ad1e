/**
 * How operators take part in a statically quantized graph: which of them have integer kernels,
 * which only move elements, which vanish into the quantization of what they clip.
 * Source: the fusions of ONNX Runtime 1.30 on CPUs (QDQ selectors), each verified by reading its
 * optimized graph back.
 */
import type { Node } from '../graph/node.js';

export type IntegerRole =
  /** Weighted sums: integer weights, int32 bias. */
  | {
      readonly kind: 'compute';
      /** The kernel gives float where no Q follows; otherwise a Q must follow. */
      readonly floatOutput: boolean;
      /** Axis of the output channels in the weight, undefined when the node does not fit. */
      weightAxis(node: Node, rank: number): number | undefined;
    }
  /** An integer kernel with scales of its own on every input and output. */
  | { readonly kind: 'kernel' }
  /** As 'kernel', and cheapest when all inputs and the output share one scale. */
  | { readonly kind: 'join' }
  /** Moves elements of input 0: the output has its scale. */
  | { readonly kind: 'carry' }
  /** Clips: absorbed when the quantized range of its output lies inside its bounds. */
  | { readonly kind: 'clip' };

const kernel: IntegerRole = Object.freeze({ kind: 'kernel' });
const carry: IntegerRole = Object.freeze({ kind: 'carry' });
const clip: IntegerRole = Object.freeze({ kind: 'clip' });

/** By operator; what is not listed stays float between DequantizeLinear and QuantizeLinear. */
export const integerRoles: Readonly<Record<string, IntegerRole>> = Object.freeze({
  Conv: {
    kind: 'compute',
    floatOutput: false,
    weightAxis: () => 0,
  },
  Gemm: {
    kind: 'compute',
    floatOutput: true,
    weightAxis: (node, rank) =>
      rank === 2 && node.int('transA', 0) === 0 ? (node.int('transB', 0) ? 0 : 1) : undefined,
  },
  MatMul: {
    kind: 'compute',
    // Without a Q the kernel still gives float, but a bias Add behind it would undo the fusion.
    floatOutput: false,
    weightAxis: (_node, rank) => (rank === 2 ? 1 : undefined),
  },
  Add: kernel,
  Mul: kernel,
  AveragePool: kernel,
  GlobalAveragePool: kernel,
  LeakyRelu: kernel,
  Sigmoid: kernel,
  Concat: { kind: 'join' },
  DepthToSpace: carry,
  Expand: carry,
  Flatten: carry,
  MaxPool: carry,
  Reshape: carry,
  Slice: carry,
  Split: carry,
  Squeeze: carry,
  Tile: carry,
  Transpose: carry,
  Unsqueeze: carry,
  Clip: clip,
  Relu: clip,
});

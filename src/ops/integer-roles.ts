/**
 * How operators take part in a statically quantized graph: which of them have integer kernels,
 * which only move elements, which vanish into the quantization of what they clip.
 * Source: the fusions of ONNX Runtime 1.30 on CPUs (QDQ selectors), each verified by reading its
 * optimized graph back.
 */
import type { Node } from '../graph/node.js';
import type { ConvChannels } from './kernel-shapes.js';

/** How integers are written: pairs around operators on floats, or operators on integers. */
export type IntegerFormat = 'qdq' | 'qoperator';

export type IntegerRole =
  /** Weighted sums: integer weights, int32 bias. */
  | ComputeRole
  /** An integer kernel with scales of its own on every input and output. */
  | {
      readonly kind: 'kernel';
      /** Why the integer kernel cannot stand for this node, by how integers are written. */
      readonly refuses?: (node: Node, format: IntegerFormat) => string | undefined;
    }
  /** As 'kernel', and cheapest when all inputs and the output share one scale. */
  | { readonly kind: 'join' }
  /** Moves elements of input 0: the output has its scale. */
  | {
      readonly kind: 'carry';
      /** Slow on integers that do not come out of an integer kernel. */
      readonly onlyBehindIntegers?: boolean;
    }
  | ClipRole;

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Clips: absorbed when the quantized range of its output lies inside its bounds. */
export interface ClipRole {
  readonly kind: 'clip';
  /** Undefined when they are computed. */
  bounds(node: Node): Promise<Bounds | undefined>;
}

/** Activation at input 0, weight at input 1, bias at input 2. */
export interface ComputeRole {
  readonly kind: 'compute';
  /** The kernel gives float where no Q follows; otherwise a Q must follow. */
  readonly floatOutput: boolean;
  /** Another scheme serves it as well, so it takes part on request only; says why. */
  readonly onRequest?: string;
  /** Where the kernel takes a bias: as input 2, or nowhere, so that it is an Add behind the node. */
  readonly bias: 'input' | 'behind';
  /** Axis of the output channels in the weight, undefined when the node does not fit. */
  weightAxis(node: Node, rank: number): number | undefined;
  /** Axis of the channels in the activation. */
  inputAxis(rank: number): number;
  /** How many groups share the channels out among them. */
  groups(node: Node): number;
  /** Channels of its kernel, by the dims of the weight; absent where they do not choose a kernel. */
  channels?(node: Node, weightDims: readonly number[]): ConvChannels;
  /** Factors on the weight and the bias that integer kernels do not have. */
  factors(node: Node): { readonly weight: number; readonly bias: number };
  /** The attributes of those factors: they leave once the factors are in the constants. */
  readonly factorAttributes: readonly string[];
}

const withoutFactors = { factors: () => ({ weight: 1, bias: 1 }), factorAttributes: [] };
const kernel: IntegerRole = Object.freeze({ kind: 'kernel' });
const carry: IntegerRole = Object.freeze({ kind: 'carry' });

/** By operator; what is not listed stays float between DequantizeLinear and QuantizeLinear. */
export const integerRoles: Readonly<Record<string, IntegerRole>> = Object.freeze({
  Conv: {
    kind: 'compute',
    floatOutput: false,
    bias: 'input',
    weightAxis: () => 0,
    inputAxis: () => 1,
    groups: (node) => node.int('group', 1),
    channels: (node, [outputs = 0, inputs = 0]) => {
      const groups = node.int('group', 1);
      return { inputs: inputs * groups, outputs, groups };
    },
    ...withoutFactors,
  },
  Gemm: {
    kind: 'compute',
    floatOutput: true,
    bias: 'input',
    weightAxis: (node, rank) =>
      rank === 2 && node.int('transA', 0) === 0 ? (node.int('transB', 0) ? 0 : 1) : undefined,
    inputAxis: (rank) => rank - 1,
    groups: () => 1,
    factors: (node) => ({ weight: node.float('alpha', 1), bias: node.float('beta', 1) }),
    factorAttributes: ['alpha', 'beta'],
  },
  MatMul: {
    kind: 'compute',
    // Without a Q the kernel still gives float, but a bias Add behind it would undo the fusion.
    floatOutput: false,
    bias: 'behind',
    onRequest: 'MatMul by calibrated ranges is off (option matMul)',
    weightAxis: (_node, rank) => (rank === 2 ? 1 : undefined),
    inputAxis: (rank) => rank - 1,
    groups: () => 1,
    ...withoutFactors,
  },
  Add: kernel,
  Mul: kernel,
  AveragePool: { kind: 'kernel', refuses: dilationsUnknown },
  GlobalAveragePool: kernel,
  LeakyRelu: kernel,
  Sigmoid: kernel,
  Concat: { kind: 'join' },
  DepthToSpace: carry,
  Expand: carry,
  Flatten: carry,
  // The runtime puts it channels last behind a QLinearConv only. Elsewhere the kernel for bytes is
  // 15 times slower than the one for floats: 3.4 ms in place of 0.2 for the first of SqueezeNet.
  MaxPool: { kind: 'carry', onlyBehindIntegers: true },
  Reshape: carry,
  Slice: carry,
  Split: carry,
  Squeeze: carry,
  Tile: carry,
  Transpose: carry,
  Unsqueeze: carry,
  Clip: { kind: 'clip', bounds: clipBounds },
  Relu: { kind: 'clip', bounds: async () => ({ min: 0, max: Number.POSITIVE_INFINITY }) },
});

/**
 * AveragePool has dilations since opset 19, set or not, and onnxruntime 1.30 hands them on to a
 * QLinearAveragePool that does not know them: the model does not load. Written as that operator in
 * the first place it can leave them out, where they are 1.
 */
function dilationsUnknown(node: Node, format: IntegerFormat): string | undefined {
  const opset = node.graph?.opset() ?? 0;
  const isPlain = node.ints('dilations', []).every((step) => step === 1);
  return opset >= 19 && !(format === 'qoperator' && isPlain)
    ? `the integer kernel of ${node.op} does not know its dilations, an attribute since opset 19`
    : undefined;
}

/** Inputs since opset 11; a bound that is left out is none. */
async function clipBounds(node: Node): Promise<Bounds | undefined> {
  const read = async (index: number, absent: number) =>
    node.inputs[index] ? (await node.constantInput(index)?.floats())?.[0] : absent;
  const min = await read(1, Number.NEGATIVE_INFINITY);
  const max = await read(2, Number.POSITIVE_INFINITY);
  return min === undefined || max === undefined ? undefined : { min, max };
}

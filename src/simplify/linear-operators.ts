/**
 * The linear operators whose constant weight can take a per-channel scale and shift: Conv,
 * ConvTranspose, Gemm and MatMul, each described by its own function. Nothing is changed here
 * but the bias, when asked. Source of layouts: the ONNX operator specification.
 */

import { addConstant } from '../graph/constant.js';
import type { Node } from '../graph/node.js';
import type { Tensor } from '../onnx/tensor.js';
import { channelVector, type WeightLayout } from './affine.js';
import { isAnnotationPart, setConstantInput } from './edit.js';
import { knownDims } from './known.js';
import type { ChannelPlace, Reason } from './linear.js';

/** Where a linear operator adds its bias, one number per output channel. */
export interface BiasPort {
  /** Undefined when there is none. */
  read(): Promise<Float64Array | undefined>;
  write(bias: Tensor): void;
}

export interface LinearDescription {
  /** The last node: where the bias is an Add of its own, that one. */
  readonly tail: Node;
  /** The data input; the weight is the other one. */
  readonly dataIndex: number;
  readonly weightIndex: number;
  readonly layout: WeightLayout;
  readonly output: ChannelPlace;
  readonly input: ChannelPlace;
  /** True for convolutions: the weight has kernel axes after its two channel axes. */
  readonly kernel: boolean;
  /** Factor on the product of data and weight, but not on the bias. */
  readonly alpha: number;
  /** Why one shift of the input is not one shift of the output; undefined when it is. */
  readonly uneven: string | undefined;
  readonly bias: BiasPort;
}

type Describe = (node: Node) => LinearDescription | Reason;

function describeConv(node: Node): LinearDescription | Reason {
  const weight = node.constantInput(1);
  if (!weight) return computed(node, 'weight');
  const [out = 0, perGroup = 0, ...kernel] = weight.dims;
  const groups = node.int('group', 1);
  const padded = node.string('auto_pad', 'NOTSET').startsWith('SAME')
    ? kernel.some((size) => size !== 1)
    : node.ints('pads', []).some((pad) => pad !== 0);
  const bias = biasInput(node, out);
  if ('reason' in bias) return bias;
  const place = { axis: 1, rank: weight.dims.length };
  return {
    tail: node,
    dataIndex: 0,
    weightIndex: 1,
    layout: {
      rows: out,
      columns: perGroup,
      inner: product(kernel),
      outChannels: out,
      inChannels: perGroup * groups,
      outChannel: (row) => row,
      inChannel: (row, column) => Math.floor(row / (out / groups)) * perGroup + column,
    },
    output: place,
    input: place,
    kernel: true,
    alpha: 1,
    uneven: padded ? 'pads its input with zeros' : undefined,
    bias,
  };
}

function describeConvTranspose(node: Node): LinearDescription | Reason {
  const weight = node.constantInput(1);
  if (!weight) return computed(node, 'weight');
  const [inChannels = 0, perGroup = 0, ...kernel] = weight.dims;
  const groups = node.int('group', 1);
  const bias = biasInput(node, perGroup * groups);
  if ('reason' in bias) return bias;
  // Each output sums over the kernel positions that reach it, fewer at borders and with strides.
  const pointwise =
    kernel.every((size) => size === 1) &&
    node.ints('strides', []).every((stride) => stride === 1) &&
    ['pads', 'output_padding'].every((name) => node.ints(name, []).every((pad) => pad === 0)) &&
    !node.has('output_shape');
  const place = { axis: 1, rank: weight.dims.length };
  return {
    tail: node,
    dataIndex: 0,
    weightIndex: 1,
    layout: {
      rows: inChannels,
      columns: perGroup,
      inner: product(kernel),
      outChannels: perGroup * groups,
      inChannels,
      outChannel: (row, column) => Math.floor(row / (inChannels / groups)) * perGroup + column,
      inChannel: (row) => row,
    },
    output: place,
    input: place,
    kernel: true,
    alpha: 1,
    uneven: pointwise ? undefined : 'spreads its input unevenly',
    bias,
  };
}

function describeGemm(node: Node): LinearDescription | Reason {
  if ((node.graph?.opset() ?? 7) < 7) return { reason: 'Gemm before opset 7 is left alone' };
  const weight = node.constantInput(1);
  if (!weight) return computed(node, 'weight');
  const [rows = 0, columns = 0] = weight.dims;
  const transposed = node.int('transB', 0) !== 0;
  const out = transposed ? rows : columns;
  const bias = gemmBias(node, out);
  if ('reason' in bias) return bias;
  return {
    tail: node,
    dataIndex: 0,
    weightIndex: 1,
    layout: matrixLayout(rows, columns, transposed),
    output: { axis: 1, rank: 2 },
    input: { axis: node.int('transA', 0) !== 0 ? 0 : 1, rank: 2 },
    kernel: false,
    alpha: node.float('alpha', 1),
    uneven: undefined,
    bias,
  };
}

/** The constant may be on either side: x W has its channels on the last axis, W x on the one before. */
function describeMatMul(node: Node): LinearDescription | Reason {
  const weightIndex = node.constantInput(1) ? 1 : 0;
  const dataIndex = 1 - weightIndex;
  const weight = node.constantInput(weightIndex);
  if (!weight) return computed(node, 'weight');
  if (weight.dims.length !== 2) return { reason: `the weight of ${node.label} is no matrix` };
  const rank = knownDims(node.input(dataIndex))?.length;
  const axis = weightIndex === 1 ? -1 : -2;
  if (rank === 1 || (axis === -2 && rank === undefined)) {
    return { reason: `the rank of the input of ${node.label} is 1 or unknown` };
  }
  const layout = matrixLayout(weight.dims[0]!, weight.dims[1]!, weightIndex === 0);
  const place = { axis, rank };
  const add = biasNode(node, place, layout.outChannels);
  return {
    tail: add?.node ?? node,
    dataIndex,
    weightIndex,
    layout,
    output: place,
    input: place,
    kernel: false,
    alpha: 1,
    uneven: undefined,
    bias: {
      read: async () =>
        add && (await channelVector(add.tensor, { ...place, count: layout.outChannels })),
      write: (bias) => {
        const shaped = axis === -1 ? bias : bias.reshape([layout.outChannels, 1]);
        if (add) setConstantInput(add.node, add.index, shaped);
        else insertAdd(node, shaped);
      },
    },
  };
}

/** By operator. */
export const linearOperators: Readonly<Record<string, Describe>> = Object.freeze({
  Conv: describeConv,
  ConvTranspose: describeConvTranspose,
  Gemm: describeGemm,
  MatMul: describeMatMul,
});

function matrixLayout(rows: number, columns: number, rowsAreOut: boolean): WeightLayout {
  return {
    rows,
    columns,
    inner: 1,
    outChannels: rowsAreOut ? rows : columns,
    inChannels: rowsAreOut ? columns : rows,
    outChannel: (row, column) => (rowsAreOut ? row : column),
    inChannel: (row, column) => (rowsAreOut ? column : row),
  };
}

/** The optional third input of a convolution. */
function biasInput(node: Node, count: number): BiasPort | Reason {
  const tensor = node.constantInput(2);
  if (node.inputs[2] && !tensor) return computed(node, 'bias');
  if (tensor && tensor.size !== count)
    return { reason: `the bias of ${node.label} has ${tensor.size} entries` };
  return {
    read: async () => {
      return tensor && (await channelVector(tensor, { axis: 0, rank: 1, count }));
    },
    write: (bias) => setConstantInput(node, 2, bias, `${node.label}_bias`),
  };
}

/** C of Gemm broadcasts to [rows, columns] and is multiplied by beta, which becomes 1. */
function gemmBias(node: Node, count: number): BiasPort | Reason {
  const tensor = node.constantInput(2);
  if (node.inputs[2] && !tensor) return computed(node, 'bias');
  if (tensor && (tensor.size !== (tensor.dims.at(-1) ?? 1) || ![1, count].includes(tensor.size))) {
    return { reason: `the bias of ${node.label} differs from row to row` };
  }
  return {
    read: async () => {
      const vector =
        tensor &&
        (await channelVector(tensor, { axis: -1, rank: Math.max(1, tensor.dims.length), count }));
      return vector?.map((b) => b * node.float('beta', 1));
    },
    write: (bias) => {
      setConstantInput(node, 2, bias, `${node.label}_bias`);
      node.removeAttribute('beta');
    },
  };
}

interface BiasNode {
  readonly node: Node;
  /** Which input is the constant. */
  readonly index: number;
  readonly tensor: Tensor;
}

/** The Add of a constant vector that follows a MatMul and nothing else does. */
function biasNode(matMul: Node, place: ChannelPlace, count: number): BiasNode | undefined {
  const use = matMul.output().onlyUse;
  if (use?.node.op !== 'Add' || use.node.graph !== matMul.graph) return undefined;
  if (use.node.has('axis') || use.node.has('broadcast') || isAnnotationPart(matMul.output())) {
    return undefined;
  }
  const index = 1 - use.index;
  const tensor = use.node.constantInput(index);
  if (!tensor || (tensor.size !== 1 && tensor.size !== count)) return undefined;
  const { dims } = tensor;
  if (dims.length > (place.rank ?? 1)) return undefined;
  const along = dims.every(
    (dim, i) => dim === 1 || (i - dims.length === place.axis && dim === count),
  );
  return along ? { node: use.node, index, tensor } : undefined;
}

/** Adds the bias behind a MatMul; whoever used its result now uses the sum. */
function insertAdd(matMul: Node, bias: Tensor): void {
  const graph = matMul.graph!;
  const { label } = matMul;
  const [output] = matMul.takeOutputs();
  const product = graph.addValue(graph.freshName(`${label}_product`), output?.type);
  matMul.setOutput(0, product);
  const add = graph.addNode(
    {
      opType: 'Add',
      name: graph.freshNodeName(`${label}_bias`),
      inputs: [product],
      outputs: [output],
    },
    { after: matMul },
  );
  add.setInput(1, addConstant(add, `${label}_bias`, bias));
}

function computed(node: Node, what: string): Reason {
  return { reason: `the ${what} of ${node.label} is computed` };
}

function product(dims: readonly number[]): number {
  return dims.reduce((total, dim) => total * dim, 1);
}

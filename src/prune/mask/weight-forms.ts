/**
 * How the weight of an operator is read as a matrix: a row per output, a column per input that the
 * row sees, and where those inputs can be seen in the graph. Source: the ONNX operator
 * specification. Shapes only; numbers and graphs of several nodes are not looked at here.
 */
import type { Node } from '../../graph/node.js';
import { axisPatches, convolutionPatches, type PatchLayout } from '../../measure/input-patches.js';

export interface Reason {
  readonly reason: string;
}

export interface WeightForm {
  /** Groups of equal numbers of rows; each sees features of its own. */
  readonly groups: number;
  readonly rows: number;
  readonly features: number;
  /**
   * Length of the input axis: features are whole runs of it, one per place in the kernel. N:M
   * patterns are cut along these runs.
   */
  readonly channels: number;
  /** Position in the stored weight. */
  at(row: number, feature: number): number;
  /** What the rows are multiplied with, and which entry of it feature `f` is. */
  readonly inputs: FormInputs | Reason;
}

export interface FormInputs {
  /** Input of the node that is seen. */
  readonly index: number;
  readonly layout: PatchLayout;
  featureOf(feature: number): number;
}

interface WeightPlace {
  readonly index: number;
  form(node: Node, dims: readonly number[]): WeightForm | Reason;
}

const same = (feature: number) => feature;
const product = (dims: readonly number[]) => dims.reduce((total, dim) => total * dim, 1);

/** [out, in / group, ...kernel], features by place in the kernel and then by channel. */
function convForm(node: Node, dims: readonly number[]): WeightForm {
  const [rows = 0, channels = 0, ...kernel] = dims;
  const taps = product(kernel);
  const layout = convolutionPatches(node, dims);
  const within = (feature: number) => (feature % channels) * taps + Math.floor(feature / channels);
  return {
    groups: node.int('group', 1),
    rows,
    features: channels * taps,
    channels,
    at: (row, feature) => row * channels * taps + within(feature),
    inputs: 'reason' in layout ? layout : { index: 0, layout, featureOf: within },
  };
}

/** [in, out / group, ...kernel]: a row per output channel and place in the kernel. */
function convTransposeForm(node: Node, dims: readonly number[]): WeightForm {
  const [inputs = 0, outputs = 0, ...kernel] = dims;
  const groups = node.int('group', 1);
  const perGroup = outputs * product(kernel);
  const features = inputs / groups;
  return {
    groups,
    rows: groups * perGroup,
    features,
    channels: features,
    at: (row, feature) =>
      (Math.floor(row / perGroup) * features + feature) * perGroup + (row % perGroup),
    inputs: { index: 0, layout: axisPatches(features, 1, groups), featureOf: same },
  };
}

/** [..., rows, columns]; `rowsAreOut` tells which of the two are outputs. Others are more rows. */
function matrixForm(
  dims: readonly number[],
  rowsAreOut: boolean,
  data: { readonly index: number; readonly axis: number },
): WeightForm | Reason {
  if (dims.length < 2) return { reason: 'its weight is a vector' };
  const [rows = 0, columns = 0] = dims.slice(-2);
  const [out, features] = rowsAreOut ? [rows, columns] : [columns, rows];
  const batch = product(dims.slice(0, -2));
  const inputs = { index: data.index, layout: axisPatches(features, data.axis), featureOf: same };
  return {
    groups: 1,
    rows: batch * out,
    features,
    channels: features,
    at: (row, feature) => {
      const [start, place] = [Math.floor(row / out) * rows * columns, row % out];
      return start + (rowsAreOut ? place * columns + feature : feature * columns + place);
    },
    inputs: batch === 1 ? inputs : { reason: 'its weight is a batch of matrices' },
  };
}

/** [directions, gates * hidden, in] */
function recurrentForm(dims: readonly number[], inputs: FormInputs | Reason): WeightForm {
  const [directions = 0, gates = 0, features = 0] = dims;
  return {
    groups: 1,
    rows: directions * gates,
    features,
    channels: features,
    at: (row, feature) => row * features + feature,
    inputs,
  };
}

const recurrent: readonly WeightPlace[] = [
  {
    index: 1,
    form: (_node, dims) =>
      recurrentForm(dims, { index: 0, layout: axisPatches(dims[2] ?? 0, -1), featureOf: same }),
  },
  {
    index: 2,
    form: (_node, dims) =>
      recurrentForm(dims, { reason: 'its recurrent weight sees a state inside of the operator' }),
  },
];

/** By operator: the inputs that are weights. What is not listed cannot be masked. */
export const weightForms: Readonly<Record<string, readonly WeightPlace[]>> = Object.freeze({
  Conv: [{ index: 1, form: convForm }],
  ConvTranspose: [{ index: 1, form: convTransposeForm }],
  MatMul: [
    { index: 1, form: (_node, dims) => matrixForm(dims, false, { index: 0, axis: -1 }) },
    { index: 0, form: (_node, dims) => matrixForm(dims, true, { index: 1, axis: -2 }) },
  ],
  Gemm: [
    {
      index: 1,
      form: (node, dims) =>
        matrixForm(dims, node.int('transB', 0) !== 0, {
          index: 0,
          axis: node.int('transA', 0) ? 0 : -1,
        }),
    },
    {
      index: 0,
      form: (node, dims) =>
        matrixForm(dims, node.int('transA', 0) === 0, {
          index: 1,
          axis: node.int('transB', 0) ? -1 : 0,
        }),
    },
  ],
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
});

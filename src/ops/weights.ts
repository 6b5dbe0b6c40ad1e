/**
 * Which inputs of an operator are weights, and along which axis of the weight its output channels
 * lie. Source: the shapes in the ONNX operator specification.
 */
import type { Node } from '../graph/node.js';

export interface WeightInput {
  readonly index: number;
  /** Axis of the output channels in a weight of this rank; undefined: it has none. */
  axis(rank: number): number | undefined;
  /** Axis of a matrix that the products are summed along; absent where there is no single one. */
  sumAxis?(rank: number): number | undefined;
  /**
   * An int attribute by which the operator transposes this matrix, when it is set: the weight can
   * be stored transposed and the attribute cleared.
   */
  readonly transposedBy?: string;
}

const at = (index: number, axis: number): WeightInput => ({
  index,
  axis: (rank) => (axis < rank ? axis : undefined),
});

const matrix = (
  node: Node,
  index: number,
  axis: number,
  attribute: 'transA' | 'transB',
): WeightInput =>
  node.int(attribute, 0)
    ? { ...at(index, 1 - axis), sumAxis: () => axis, transposedBy: attribute }
    : { ...at(index, axis), sumAxis: () => 1 - axis };

/** By operator. Operators that are not listed hold no weights that pare knows of. */
export const weightInputs: Readonly<Record<string, (node: Node) => readonly WeightInput[]>> =
  Object.freeze({
    Conv: () => [at(1, 0)],
    // [in, out/group, ...]: with groups every entry of axis 1 stands for several channels, while
    // axis 0 still tells them apart.
    ConvTranspose: (node) => [at(1, node.int('group', 1) === 1 ? 1 : 0)],
    Gemm: (node) => [matrix(node, 1, 1, 'transB'), matrix(node, 0, 0, 'transA')],
    MatMul: () => [
      {
        index: 1,
        axis: (rank) => (rank > 1 ? rank - 1 : undefined),
        sumAxis: (rank) => (rank > 1 ? rank - 2 : undefined),
      },
      {
        index: 0,
        axis: (rank) => (rank > 1 ? rank - 2 : undefined),
        sumAxis: (rank) => (rank > 1 ? rank - 1 : undefined),
      },
    ],
    // [directions, gates * hidden, in]
    LSTM: () => [at(1, 1), at(2, 1)],
    GRU: () => [at(1, 1), at(2, 1)],
    RNN: () => [at(1, 1), at(2, 1)],
  });

/** Activations that ONNX Runtime fuses into the Gemm before them (GemmActivationFusion, 1.30). */
const fusedIntoGemm: ReadonlySet<string> = new Set([
  'Elu',
  'HardSigmoid',
  'LeakyRelu',
  'Relu',
  'Selu',
  'Sigmoid',
  'Softplus',
  'Softsign',
  'Tanh',
  'ThresholdedRelu',
]);

/** The node's result goes into such an activation alone: the fused node takes no integer weights. */
export function hasFusedActivation(node: Node): boolean {
  const use = node.outputs[0]?.onlyUse;
  return use !== undefined && fusedIntoGemm.has(use.node.op);
}

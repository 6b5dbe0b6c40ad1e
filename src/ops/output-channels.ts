/**
 * Along which axis of its output an operator lays the channels that a weight makes: one index of it
 * is one neuron. Which axis of the weight belongs to it says weights.ts. Source: the shapes in the
 * ONNX operator specification.
 */

/** By operator: the axis for the weight at this input and an output of this rank; undefined: none. */
export const outputChannels: Readonly<
  Record<string, (weight: number, rank: number) => number | undefined>
> = Object.freeze({
  Conv: () => 1,
  ConvTranspose: () => 1,
  Gemm: (weight) => (weight === 1 ? 1 : undefined),
  MatMul: (weight, rank) => (weight === 1 ? rank - 1 : rank - 2),
});

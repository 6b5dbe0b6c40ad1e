/**
 * Normalizations that in inference are a constant affine step per channel of axis 1: which inputs
 * hold what. Source: BatchNormalization in the ONNX operator specification.
 */

export interface ChannelNormalization {
  /** Indices of the inputs, each [channels]. */
  readonly scale: number;
  readonly mean: number;
  readonly variance: number;
}

/** By operator. */
export const channelNormalizations: Readonly<Record<string, ChannelNormalization>> = Object.freeze({
  BatchNormalization: Object.freeze({ scale: 1, mean: 3, variance: 4 }),
});

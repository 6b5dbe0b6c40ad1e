/**
 * Matrix products, normalization, attention, recurrent networks, losses: defaults of optional attributes.
 * Source: the ONNX operator specification, opset 1 to 26.
 */
import { changed, type DefaultTable } from './rows.js';

export const networkDefaults: DefaultTable = {
  Attention: {
    is_causal: 0,
    left_window_size: -1,
    qk_matmul_output_mode: 0,
    right_window_size: -1,
    softcap: 0,
  },
  BatchNormalization: {
    epsilon: 1e-5,
    is_test: changed([1, 0], [7, undefined]),
    momentum: 0.9,
    spatial: changed([1, 1], [9, undefined]),
    training_mode: 0,
  },
  GRU: {
    direction: 'forward',
    layout: 0,
    linear_before_reset: 0,
    output_sequence: changed([1, 0], [7, undefined]),
  },
  Gemm: { alpha: 1, beta: 1, broadcast: changed([1, 0], [7, undefined]), transA: 0, transB: 0 },
  GroupNormalization: { epsilon: 1e-5, stash_type: 1 },
  InstanceNormalization: { epsilon: 1e-5 },
  LRN: { alpha: 0.0001, beta: 0.75, bias: 1 },
  LSTM: {
    direction: 'forward',
    input_forget: 0,
    layout: 0,
    output_sequence: changed([1, 0], [7, undefined]),
  },
  LayerNormalization: { axis: -1, epsilon: 1e-5, stash_type: 1 },
  LpNormalization: { axis: -1, p: 2 },
  MeanVarianceNormalization: { axes: [0, 2, 3] },
  NegativeLogLikelihoodLoss: { reduction: 'mean' },
  RMSNormalization: { axis: -1, epsilon: 1e-5, stash_type: 1 },
  RNN: {
    activations: ['Tanh', 'Tanh'],
    direction: 'forward',
    layout: 0,
    output_sequence: changed([1, 0], [7, undefined]),
  },
  RotaryEmbedding: { interleaved: 0, rotary_embedding_dim: 0 },
  SoftmaxCrossEntropyLoss: { reduction: 'mean' },
};

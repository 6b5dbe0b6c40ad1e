/**
 * Activations and element-wise functions: defaults of optional attributes.
 * Source: the ONNX operator specification, opset 1 to 26.
 */
import { changed, type DefaultTable } from './rows.js';

export const activationDefaults: DefaultTable = {
  Add: { broadcast: changed([1, 0], [7, undefined]) },
  And: { broadcast: changed([1, 0], [7, undefined]) },
  Cast: { round_mode: 'up', saturate: 1 },
  CastLike: { round_mode: 'up', saturate: 1 },
  Celu: { alpha: 1 },
  Clip: {
    max: changed([6, 3.4028235e38], [11, undefined]),
    min: changed([6, -3.4028235e38], [11, undefined]),
  },
  CumProd: { exclusive: 0, reverse: 0 },
  CumSum: { exclusive: 0, reverse: 0 },
  Div: { broadcast: changed([1, 0], [7, undefined]) },
  Dropout: { is_test: changed([1, 0], [7, undefined]), ratio: changed([1, 0.5], [12, undefined]) },
  Elu: { alpha: 1 },
  Equal: { broadcast: changed([1, 0], [7, undefined]) },
  Gelu: { approximate: 'none' },
  Greater: { broadcast: changed([1, 0], [7, undefined]) },
  HardSigmoid: { alpha: 0.2, beta: 0.5 },
  Hardmax: { axis: changed([1, 1], [13, -1]) },
  IsInf: { detect_negative: 1, detect_positive: 1 },
  LeakyRelu: { alpha: 0.01 },
  Less: { broadcast: changed([1, 0], [7, undefined]) },
  LogSoftmax: { axis: changed([1, 1], [13, -1]) },
  Mod: { fmod: 0 },
  Mul: { broadcast: changed([1, 0], [7, undefined]) },
  Or: { broadcast: changed([1, 0], [7, undefined]) },
  Pow: { broadcast: changed([1, 0], [7, undefined]) },
  Selu: { alpha: changed([1, 1.6732], [6, 1.6732632]), gamma: changed([1, 1.0507], [6, 1.050701]) },
  Shrink: { bias: 0, lambd: 0.5 },
  Softmax: { axis: changed([1, 1], [13, -1]) },
  Sub: { broadcast: changed([1, 0], [7, undefined]) },
  Swish: { alpha: 1 },
  ThresholdedRelu: { alpha: 1 },
  Trilu: { upper: 1 },
  Xor: { broadcast: changed([1, 0], [7, undefined]) },
};

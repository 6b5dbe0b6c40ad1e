/**
 * Quantization: defaults of optional attributes.
 * Source: the ONNX operator specification, opset 1 to 26.
 */
import type { DefaultTable } from './rows.js';

export const quantizationDefaults: DefaultTable = {
  DequantizeLinear: { axis: 1, block_size: 0, output_dtype: 0 },
  QuantizeLinear: { axis: 1, block_size: 0, output_dtype: 0, precision: 0, saturate: 1 },
};

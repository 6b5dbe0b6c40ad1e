/**
 * The operators between numbers and integers of a scale: which way each goes. All take the numbers
 * at input 0, the scale at input 1 and the zero point at input 2.
 * Source: the ONNX operator specification.
 */
export const linearQuantization: Readonly<Record<string, 'quantize' | 'dequantize'>> =
  Object.freeze({ QuantizeLinear: 'quantize', DequantizeLinear: 'dequantize' });

/**
 * Which integers of weights the integer kernels take beside which integers of activations.
 * Source: the type constraints of QLinearConv, QLinearMatMul and QGemm, ONNX Runtime 1.30 on CPUs;
 * everything else is dequantized and computed in float.
 */
import type { DataType } from '../onnx/data-type.js';

const weightsBeside: Partial<Record<DataType, readonly DataType[]>> = Object.freeze({
  uint8: ['int8', 'uint8'],
  int8: ['int8'],
});

/** @example hasIntegerKernel('uint8', 'int4') // false */
export function hasIntegerKernel(activations: DataType, weights: DataType): boolean {
  return weightsBeside[activations]?.includes(weights) ?? false;
}

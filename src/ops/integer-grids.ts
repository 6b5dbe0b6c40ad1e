/**
 * Operators between floats and integers: where their scale and zero point are, and which type the
 * integers have. Source: QuantizeLinear and DequantizeLinear of the ONNX operator specification,
 * and ONNX Runtime's operators of the same names.
 */
import type { Node } from '../graph/node.js';
import type { DataType } from '../onnx/data-type.js';
import { dataTypes } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';

/** What an operator rounds to, or comes from. */
export interface IntegerGrid {
  readonly dataType: DataType;
  readonly scale: Tensor;
  /** Undefined: all zero. */
  readonly zeroPoint: Tensor | undefined;
}

type GridOf = (node: Node) => IntegerGrid | undefined;

/** The integers are the output: their type is that of the zero point, uint8 without one. */
const rounding: GridOf = (node) => {
  const [scale, zeroPoint] = [node.constantInput(1), node.constantInput(2)];
  if (!scale || (node.inputs[2] && !zeroPoint)) return undefined;
  return { scale, zeroPoint, dataType: zeroPoint?.dataType ?? 'uint8' };
};

/** The integers are the input, a constant. */
const restoring: GridOf = (node) => {
  const stored = node.constantInput(0);
  const grid = rounding(node);
  return grid && stored ? { ...grid, dataType: stored.dataType } : undefined;
};

/** Operators that make integers of floats. */
export const roundingGrids: Readonly<Record<string, GridOf>> = Object.freeze({
  QuantizeLinear: rounding,
  'com.microsoft:QuantizeLinear': rounding,
});

/** Operators that make floats of stored integers. */
export const storedGrids: Readonly<Record<string, GridOf>> = Object.freeze({
  DequantizeLinear: restoring,
  'com.microsoft:DequantizeLinear': restoring,
});

/** Least and largest code of an integer type; undefined for a type that is none. */
export function codesOf(dataType: DataType): readonly [low: number, high: number] | undefined {
  const { kind, bits } = dataTypes[dataType];
  if (kind === 'unsigned') return [0, 2 ** bits - 1];
  return kind === 'signed' ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : undefined;
}

/**
 * Fused operators of ONNX Runtime, written out in the operators that they fuse.
 */
import { expand, type GradientTable } from './rule.js';

const gelu = expand((e, node) => {
  const x = node.inputs[1] ? e.add(node.input(0), node.inputs[1]) : node.input(0);
  return [e.op('com.microsoft:Gelu', [x])];
});

/** x (1 + tanh(x (0.0356774 x² + 0.797885))) / 2, of x plus an optional bias. */
const fastGelu = expand((e, node) => {
  const x = node.inputs[1] ? e.add(node.input(0), node.inputs[1]) : node.input(0);
  const inner = e.mul(x, e.add(e.mul(e.square(x), 0.044715 * slope), slope));
  return [e.mul(e.mul(x, e.add(e.op('Tanh', [inner]), 1)), 0.5)];
});
const slope = Math.sqrt(2 / Math.PI);

export const fusedGradients: GradientTable = Object.freeze({
  'com.microsoft:BiasGelu': gelu,
  'com.microsoft:FastGelu': fastGelu,
});

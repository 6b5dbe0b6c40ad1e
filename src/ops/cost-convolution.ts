/**
 * MACs of convolutions in all their forms: float, integer, fused, transposed, deformable.
 * Weights are [M, C/group, k...] (ConvTranspose: [C, M/group, k...]) whatever the layout of the
 * activations, so the product over the weight's dims behind the first is the work per element.
 */
import { elementCount } from '../onnx/data-type.js';
import type { OperatorCost } from './cost.js';

/** Every output element sums over the weight's dims behind the first. */
function convolution(weight: number): OperatorCost {
  return {
    macs: (_node, shapes) => product(shapes.output(), shapes.input(weight)?.slice(1)),
    traffic: 'all',
  };
}

/** Every input element is spread over the weight's dims behind the first. */
function transposed(weight: number): OperatorCost {
  return {
    macs: (_node, shapes) => product(shapes.input(0), shapes.input(weight)?.slice(1)),
    traffic: 'all',
  };
}

function product(
  elements: readonly number[] | undefined,
  each: readonly number[] | undefined,
): number | undefined {
  return elements && each ? elementCount(elements) * elementCount(each) : undefined;
}

export const convolutionCosts: Readonly<Record<string, OperatorCost>> = Object.freeze({
  Conv: convolution(1),
  ConvInteger: convolution(1),
  QLinearConv: convolution(3),
  // The offsets change where is read, not how much is multiplied.
  DeformConv: convolution(1),
  ConvTranspose: transposed(1),
  'com.microsoft:FusedConv': convolution(1),
  'com.microsoft:NhwcFusedConv': convolution(1),
  'com.microsoft:QLinearConv': convolution(3),
  'com.microsoft:QLinearConvTranspose': transposed(3),
  'com.microsoft:ConvTransposeWithDynamicPads': transposed(1),
  'com.ms.internal.nhwc:Conv': convolution(1),
  'com.ms.internal.nhwc:ConvTranspose': transposed(1),
  'com.ms.internal.nhwc:QLinearConv': convolution(3),
});

/**
 * The gradient of every operator that pare knows, as one table. A family of operators is a file
 * and a line here.
 */
import { arithmeticGradients } from './arithmetic.js';
import { convolutionGradients } from './convolution.js';
import { dropoutGradients } from './dropout.js';
import { elementwiseGradients } from './elementwise.js';
import { gatherGradients } from './gather.js';
import { matrixGradients } from './matrix.js';
import { normalizationGradients } from './normalization.js';
import { poolingGradients } from './pooling.js';
import { quantizationGradients } from './quantization.js';
import { reductionGradients } from './reduction.js';
import { resizeGradients } from './resize.js';
import { type GradientTable, type OperatorGradient, unsupported } from './rule.js';
import { shapeGradients } from './shape.js';
import { sliceGradients } from './slice.js';
import { softmaxGradients } from './softmax.js';
import { stopGradients } from './stops.js';

/** By operator: 'Conv', 'com.microsoft:FusedMatMul'. */
export const gradients: GradientTable = Object.freeze({
  ...arithmeticGradients,
  ...convolutionGradients,
  ...dropoutGradients,
  ...elementwiseGradients,
  ...gatherGradients,
  ...matrixGradients,
  ...normalizationGradients,
  ...poolingGradients,
  ...quantizationGradients,
  ...reductionGradients,
  ...resizeGradients,
  ...shapeGradients,
  ...sliceGradients,
  ...softmaxGradients,
  ...stopGradients,
});

const unknown = unsupported('pare has no gradient for this operator');

/** What is known of the gradient of an operator. */
export function gradientOf(op: string): OperatorGradient {
  return Object.hasOwn(gradients, op) ? gradients[op]! : unknown;
}

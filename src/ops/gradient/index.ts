/**
 * The gradient of every operator that pare knows, as one table. A family of operators is a file
 * and a line here.
 */
import { arithmeticGradients } from './arithmetic.js';
import { attentionGradients } from './attention.js';
import { convolutionGradients } from './convolution.js';
import { dropoutGradients } from './dropout.js';
import { einsumGradients } from './einsum.js';
import { elementwiseGradients } from './elementwise.js';
import { fusedGradients } from './fused.js';
import { gatherGradients } from './gather.js';
import { lossGradients } from './losses.js';
import { matrixGradients } from './matrix.js';
import { normalizationGradients } from './normalization.js';
import { poolingGradients } from './pooling.js';
import { quantizationGradients } from './quantization.js';
import { recurrentGradients } from './recurrent.js';
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
  ...attentionGradients,
  ...convolutionGradients,
  ...dropoutGradients,
  ...elementwiseGradients,
  ...gatherGradients,
  ...einsumGradients,
  ...fusedGradients,
  ...lossGradients,
  ...recurrentGradients,
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

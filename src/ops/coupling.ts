/**
 * How the widths of a model hang together, as one frozen table: operator to rule. An operator that
 * is in no row is not known: nothing that it touches can be cut. No loop over graphs here.
 */
import { attentionCoupling } from './coupling-attention.js';
import { contractionCoupling } from './coupling-contraction.js';
import { convolutionCoupling } from './coupling-convolution.js';
import { elementwiseCoupling } from './coupling-elementwise.js';
import { fixedCoupling, shapeCoupling } from './coupling-fixed.js';
import { movementCoupling } from './coupling-movement.js';
import { normalizationCoupling } from './coupling-normalization.js';
import { quantizationCoupling } from './coupling-quantization.js';
import { recurrentCoupling } from './coupling-recurrent.js';
import { reductionCoupling } from './coupling-reduction.js';
import { reshapeCoupling } from './coupling-reshape.js';
import type { CouplingRule } from './coupling-rule.js';
import { slicingCoupling } from './coupling-slicing.js';

const table: Readonly<Record<string, CouplingRule>> = Object.freeze({
  ...elementwiseCoupling,
  ...contractionCoupling,
  ...convolutionCoupling,
  ...normalizationCoupling,
  ...reductionCoupling,
  ...movementCoupling,
  ...slicingCoupling,
  ...reshapeCoupling,
  ...recurrentCoupling,
  ...attentionCoupling,
  ...quantizationCoupling,
  ...fixedCoupling,
  ...shapeCoupling,
});

/** The rule of an operator ('Conv', 'com.microsoft:Attention'); undefined: it is not known. */
export function couplingOf(op: string): CouplingRule | undefined {
  return Object.hasOwn(table, op) ? table[op] : undefined;
}

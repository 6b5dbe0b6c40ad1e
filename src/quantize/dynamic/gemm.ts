/**
 * Gemm with a constant B, for any alpha, beta, transA and transB: alpha goes into the weight's
 * scales, beta into the constant bias, the transposes into the weight and before the activation.
 */
import type { Node } from '../../graph/node.js';
import { findWeight, tooSmall } from '../find-weight.js';
import { scaledBias } from '../gemm-bias.js';
import type { RewriteResult, Rewriter } from '../rewriter.js';
import { emitProduct, fromFloat } from './mat-mul.js';
import { type DynamicOptions, describeWeight } from './options.js';

export async function dynamicGemm(
  node: Node,
  rewriter: Rewriter,
  options: DynamicOptions,
): Promise<RewriteResult> {
  const weight = await findWeight(node, 1);
  if ('reason' in weight) return weight;
  const small = tooSmall(weight, options);
  if (small) return small;
  const x = node.int('transA', 0)
    ? rewriter.emit(node, 'Transpose', [node.input(0)], { perm: [1, 0] })
    : node.input(0);
  let result = await emitProduct(rewriter, node, x, weight, {
    options,
    alpha: node.float('alpha', 1),
    ...(node.int('transB', 0) ? { perm: [1, 0] } : {}),
  });
  result = fromFloat(rewriter, node, result, weight);
  const bias = await scaledBias(rewriter, node, weight.dataType);
  if (bias) result = rewriter.emit(node, 'Add', [result, bias]);
  rewriter.replace(node, result);
  return { done: `MatMulInteger, ${describeWeight(weight, options)}` };
}

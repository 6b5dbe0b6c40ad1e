/**
 * Gemm with a constant B, for any alpha, beta, transA and transB: alpha goes into the weight's
 * scales, beta into the constant bias, the transposes into the weight and before the activation.
 */
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import type { DataType } from '../../onnx/data-type.js';
import { Tensor } from '../../onnx/tensor.js';
import { findWeight, tooSmall } from '../find-weight.js';
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

/** beta times C: folded where C is constant, computed where it is not. */
async function scaledBias(
  rewriter: Rewriter,
  node: Node,
  dataType: DataType,
): Promise<Value | undefined> {
  const bias = node.inputs[2];
  const beta = node.float('beta', 1);
  if (!bias || beta === 0) return undefined;
  if (beta === 1) return bias;
  const tensor = node.constantInput(2);
  const graph = node.graph!;
  if (tensor?.dataType === 'float') {
    const scaled = (await tensor.floats()).map((value) => value * beta);
    return rewriter.constant(graph, `${bias.name}_scaled`, Tensor.of('float', tensor.dims, scaled));
  }
  const factor = rewriter.constant(graph, `${node.label}_beta`, Tensor.scalar(dataType, beta));
  return rewriter.emit(node, 'Mul', [bias, factor]);
}

/**
 * The bias of a Gemm with its factor in it, for nodes that have no such factor.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { DataType } from '../onnx/data-type.js';
import { Tensor } from '../onnx/tensor.js';
import type { Rewriter } from './rewriter.js';

/** beta times C: folded where C is constant, computed where it is not. */
export async function scaledBias(
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

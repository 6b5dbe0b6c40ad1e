/**
 * Finds the constant behind an input of a node, wherever the exporter put it: an initializer, a
 * Constant node, behind Transpose, Identity, Cast or Reshape, in this graph or around it.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';
import { constantViews, type FloatConstant } from '../ops/constant-views.js';

/** A float weight as the node sees it. */
export interface FoundWeight extends FloatConstant {
  /** The value that the node takes: nodes that share it can share its quantized form. */
  readonly value: Value;
  /** The stored tensor, before any view. */
  readonly tensor: Tensor;
}

/** The weight, or why the input is none. Reads shapes only; the numbers are read on demand. */
export async function findWeight(
  node: Node,
  index: number,
): Promise<FoundWeight | { readonly reason: string }> {
  const value = node.inputs[index];
  if (!value) return { reason: `it has no input ${index}` };
  const found = await constantBehind(value);
  if ('reason' in found) return found;
  const { kind } = dataTypes[found.tensor.dataType];
  if (kind !== 'float') return { reason: `its weight is ${found.tensor.dataType} already` };
  return { value, ...found };
}

async function constantBehind(
  value: Value,
): Promise<(FloatConstant & { tensor: Tensor }) | { readonly reason: string }> {
  if (value.isConstant) return asConstant(value.initializer!);
  if (value.sparse) return { reason: 'its weight is a sparse initializer' };
  if (value.isInput) {
    return {
      reason: value.initializer
        ? 'its weight is also a graph input, so callers may replace it'
        : 'its weight is a graph input',
    };
  }
  const producer = value.producer;
  if (!producer) return { reason: 'its weight is no constant' };
  if (producer.op === 'Constant') {
    const tensor = producer.tensorAttribute('value');
    return tensor ? asConstant(tensor) : { reason: 'its weight is a Constant without a tensor' };
  }
  const view = constantViews[producer.op];
  const input = producer.inputs[0];
  if (!view || !input) return { reason: `its weight is computed by ${producer.op}` };
  const inner = await constantBehind(input);
  if ('reason' in inner) return inner;
  const seen = await view(producer, inner);
  return 'reason' in seen ? seen : { ...seen, tensor: inner.tensor };
}

function asConstant(tensor: Tensor): FloatConstant & { tensor: Tensor } {
  return {
    dims: tensor.dims,
    dataType: tensor.dataType,
    read: () => tensor.floats(),
    tensor,
  };
}

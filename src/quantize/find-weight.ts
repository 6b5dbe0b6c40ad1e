/**
 * Finds the constant behind an input of a node, wherever the exporter put it: an initializer, a
 * Constant node, behind Transpose, Identity, Cast or Reshape, in this graph or around it.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dataTypes, elementCount } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';
import { constantViews, type FloatConstant } from '../ops/constant-views.js';

/** A float weight as the node sees it. */
export interface FoundWeight extends FloatConstant {
  /** The value that the node takes. */
  readonly value: Value;
  /**
   * The value with the stored numbers, which all its views can share a quantized form of; `value`
   * itself where the view is more than another order of them.
   */
  readonly source: Value;
  /** Axis i of the weight is axis perm[i] of the source. */
  readonly perm: readonly number[];
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
  const { stored, ...weight } = found;
  const { perm } = weight;
  return perm
    ? { ...weight, value, source: stored, perm }
    : { ...weight, value, source: value, perm: [...weight.dims.keys()] };
}

/** Why a weight stays float: it has fewer elements than the option asks for. */
export function tooSmall(
  weight: FoundWeight,
  { minElements }: { readonly minElements: number },
): { readonly reason: string } | undefined {
  const count = elementCount(weight.dims);
  if (count >= Math.max(1, minElements)) return undefined;
  return { reason: `its weight has ${count} elements, fewer than minElements ${minElements}` };
}

type Found = FloatConstant & { readonly stored: Value };

async function constantBehind(value: Value): Promise<Found | { readonly reason: string }> {
  if (value.isConstant) return asConstant(value, value.initializer!);
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
    return tensor
      ? asConstant(value, tensor)
      : { reason: 'its weight is a Constant without a tensor' };
  }
  const view = constantViews[producer.op];
  const input = producer.inputs[0];
  if (!view || !input) return { reason: `its weight is computed by ${producer.op}` };
  const inner = await constantBehind(input);
  if ('reason' in inner) return inner;
  const seen = await view(producer, inner);
  return 'reason' in seen ? seen : { ...seen, stored: inner.stored };
}

function asConstant(stored: Value, tensor: Tensor): Found | { readonly reason: string } {
  const { dataType, dims } = tensor;
  if (dataTypes[dataType].kind !== 'float') {
    return { reason: `its weight is ${dataType}, which is no float type` };
  }
  return { dims, dataType, perm: [...dims.keys()], read: () => tensor.floats(), stored };
}

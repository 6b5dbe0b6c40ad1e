/**
 * What a rewrite may rely on: types and dims that hold in every run. Types inside functions and
 * of values that a loop carries are only what they were when the file was made, so they count as
 * unknown. Reads nothing but small constants.
 */

import { inFunctionBody } from '../graph/constant.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import type { Dim } from '../graph/value-type.js';
import type { DataType } from '../onnx/data-type.js';
import type { Tensor } from '../onnx/tensor.js';

export function knownDataType(value: Value): DataType | undefined {
  if (value.isConstant) return value.initializer!.dataType;
  return inFunctionBody(value.graph) ? undefined : value.dataType;
}

/** Dims of the value, symbols and unknown ones included; undefined when not even the rank holds. */
export function knownDims(value: Value): readonly Dim[] | undefined {
  const { constant } = value;
  if (constant) return constant.dims;
  // A body with inputs is run again and again: the shapes of what it carries may change.
  const looped = value.graph.owner !== undefined && value.graph.inputs.length > 0;
  if (looped || inFunctionBody(value.graph)) return undefined;
  return value.type?.kind === 'tensor' ? value.type.dims : undefined;
}

/** Dims that are all numbers. */
export function staticDims(value: Value): readonly number[] | undefined {
  const dims = knownDims(value);
  return dims?.every((dim) => typeof dim === 'number') ? (dims as readonly number[]) : undefined;
}

/** Larger constants are weights: whether they are all zero is not worth reading them for. */
const smallBytes = 1 << 20;

/** Numbers of a constant input that is small; undefined when it is computed, large or absent. */
export async function constantNumbers(node: Node, index: number): Promise<number[] | undefined> {
  const tensor = node.constantInput(index);
  return tensor && (await smallNumbers(tensor));
}

export async function smallNumbers(tensor: Tensor): Promise<number[] | undefined> {
  if (tensor.dataType === 'string' || tensor.dataType.startsWith('complex')) return undefined;
  return tensor.byteLength <= smallBytes ? await tensor.numbers() : undefined;
}

/**
 * A list of integers that early operator sets hold in an attribute and later ones in an input:
 * 'absent' when the node has neither, undefined when it is computed.
 */
export async function listOf(
  node: Node,
  attribute: string,
  input: number,
): Promise<number[] | 'absent' | undefined> {
  if (node.attributes.get(attribute)?.type === 'ints') return node.ints(attribute);
  if (node.has(attribute)) return undefined;
  return node.inputs[input] ? await constantNumbers(node, input) : 'absent';
}

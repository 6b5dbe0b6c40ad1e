/**
 * The numbers of small constants (shapes, bounds, axes), read once so that rules need not wait.
 * Weights are not read.
 */
import type { Graph } from '../graph/graph.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';

/** Indices of a large Gather are about the longest list that a rule looks at. */
const maxElements = 1 << 16;
/** Of floating-point constants only scalars matter: a step of Range, say. */
const maxFloats = 16;

export async function smallConstants(graph: Graph): Promise<Map<Value, readonly number[]>> {
  const found = new Map<Value, readonly number[]>();
  for (const value of graph.values) {
    const tensor = value.constant;
    if (!tensor) continue;
    const { kind } = dataTypes[tensor.dataType];
    if (kind === 'string' || kind === 'complex') continue;
    if (tensor.size > (kind === 'float' ? maxFloats : maxElements)) continue;
    found.set(value, await tensor.numbers());
  }
  return found;
}

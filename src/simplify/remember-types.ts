/**
 * Keeps the types that a model declares while rewrites work with inferred ones. Changes nothing
 * but types.
 */
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import type { ValueType } from '../graph/value-type.js';

/**
 * Inferred types serve the rewrites; in the file they would only take room. The function returned
 * gives values the types that they had, and outputs the types that the interface had.
 */
export function rememberTypes(model: Model): () => void {
  const types = new Map<Value, ValueType | undefined>();
  const constants = new Set<Value>();
  const outputs = new Map<Graph, (ValueType | undefined)[]>();
  for (const graph of model.allGraphs()) {
    for (const value of graph.values) {
      types.set(value, value.type);
      if (value.isConstant) constants.add(value);
    }
    outputs.set(
      graph,
      graph.outputs.map((output) => output.type),
    );
  }
  return () => {
    for (const graph of model.allGraphs()) {
      for (const value of graph.values) {
        // Tensors of folded constants tell their own type.
        const folded = value.isConstant && !constants.has(value);
        value.type = folded ? undefined : types.get(value);
      }
      for (const [i, type] of outputs.get(graph)?.entries() ?? []) graph.outputs[i]!.type = type;
    }
  };
}

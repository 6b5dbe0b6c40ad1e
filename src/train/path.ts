/**
 * Which nodes a gradient passes: those that lead from a wanted value to the loss. Asks the table
 * of gradients what each operator lets through; writes nothing.
 */
import type { Graph } from '../graph/graph.js';
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import { gradientOf } from '../ops/gradient/index.js';

export interface GradientPath {
  /** From the first to the last. */
  readonly nodes: readonly Node[];
  /** Wanted values, and what depends on them. */
  readonly active: ReadonlySet<Value>;
}

/** The nodes between the wanted values and the loss. */
export function gradientPath(graph: Graph, loss: Value, wanted: Iterable<Value>): GradientPath {
  const active = new Set(wanted);
  const depending: Node[] = [];
  for (const node of graph.nodes) {
    const entry = gradientOf(node.op);
    if (entry.kind === 'stops') continue;
    if (!leadingInputs(node).some((input) => active.has(input))) continue;
    const isQuantized = entry.kind === 'rule' && entry.quantized === true;
    let isActive = false;
    for (const output of node.outputs) {
      if (!output || !(isQuantized || carriesGradient(output))) continue;
      active.add(output);
      isActive = true;
    }
    if (isActive) depending.push(node);
  }
  const leading = new Set<Value>([loss]);
  const nodes: Node[] = [];
  for (const node of depending.reverse()) {
    if (!node.outputs.some((output) => output && active.has(output) && leading.has(output))) {
      continue;
    }
    nodes.push(node);
    for (const input of leadingInputs(node)) if (active.has(input)) leading.add(input);
  }
  return { nodes: nodes.reverse(), active };
}

/** Inputs that the outputs depend on, and values of the graph that subgraphs of the node use. */
function leadingInputs(node: Node): Value[] {
  const entry = gradientOf(node.op);
  const only = entry.kind === 'rule' ? entry.inputs : undefined;
  const captured = node.subgraphs.flatMap((inner) =>
    [...inner.allNodes()].flatMap(({ inputs }) => inputs),
  );
  const own = only ? only.map((index) => node.inputs[index]) : node.inputs;
  return [...own, ...captured].filter((value): value is Value => value !== undefined);
}

/** Real numbers do; what is no tensor, or of no known type, may. */
function carriesGradient({ type, dataType }: Value): boolean {
  if (type && type.kind !== 'tensor') return true;
  return dataType === undefined || dataTypes[dataType].kind === 'float';
}

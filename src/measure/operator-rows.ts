/**
 * What a model is made of, as rows: by operator, node by node, and constant by constant. Reads
 * sizes and shapes, not numbers.
 */
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { dimsText, typeText } from '../graph/type-text.js';
import type { Value } from '../graph/value.js';
import { tensorType } from '../graph/value-type.js';
import { countNodeMacs, type TypeLookup } from '../ops/cost.js';
import { type ConstantRole, parameterRoles } from '../ops/input-roles.js';
import type { MacsReport } from './macs.js';
import { constantsOf, mainUse } from './size.js';

/** Plain JSON. */
export interface OperatorRow {
  readonly op: string;
  /** In the main graph, subgraphs and functions. */
  readonly nodes: number;
  /** Elements of weights, embeddings, biases and normalization that it uses. */
  readonly parameters: number;
  /** Bytes of all its constants. */
  readonly weightBytes: number;
  /** Of one run; null where shapes are not known. */
  readonly macs: number | null;
}

/** Most MACs first, then most bytes, then most nodes. */
export function operatorRows(model: Model, macs: MacsReport | null): OperatorRow[] {
  const rows = new Map<string, { op: string; nodes: number; parameters: number; bytes: number }>();
  const rowOf = (op: string) => {
    let row = rows.get(op);
    if (!row) rows.set(op, (row = { op, nodes: 0, parameters: 0, bytes: 0 }));
    return row;
  };
  for (const node of model.allNodes()) rowOf(node.op).nodes++;
  for (const { value, tensor, bytes } of constantsOf(model)) {
    if (value.isUnused) continue;
    const { role, op, elements } = mainUse(value, tensor);
    const row = rows.get(op);
    // A constant that only passes through to an output of the graph has no operator of its own.
    if (!row) continue;
    row.bytes += bytes;
    if (parameterRoles.has(role)) row.parameters += elements;
  }
  const work = new Map(macs?.byOperator.map((row) => [row.op, row.macs]));
  const unknown = new Set(macs?.unknown.map(({ op }) => op));
  return [...rows.values()]
    .map(({ op, nodes, parameters, bytes }) => ({
      op,
      nodes,
      parameters,
      weightBytes: bytes,
      macs: macs && !unknown.has(op) ? (work.get(op) ?? 0) : null,
    }))
    .sort(
      (a, b) => (b.macs ?? 0) - (a.macs ?? 0) || b.weightBytes - a.weightBytes || b.nodes - a.nodes,
    );
}

/** Plain JSON. */
export interface NodeRow {
  readonly node: string;
  readonly op: string;
  /** The subgraph that holds it, as 'If "cond" then_branch'; null in the main graph. */
  readonly inside: string | null;
  /** Types of its inputs that are no constants, and of its outputs. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly weightBytes: number;
  readonly macs: number | null;
}

/** Every node in order of execution, a node before those of its subgraphs, functions last. */
export function nodeRows(model: Model, types: TypeLookup | undefined): NodeRow[] {
  const text = (value: Value | undefined) => {
    if (!value) return 'none';
    const type = types?.(value);
    return typeText(type ? tensorType(type.dataType, type.dims) : value.type);
  };
  return Array.from(model.allNodes(), (node) => {
    const used = node.inputs.flatMap((_, at) => node.constantInput(at) ?? []);
    const count = types && countNodeMacs(node, types);
    return {
      node: node.label,
      op: node.op,
      inside: placeOf(node),
      inputs: node.inputs.filter((value, at) => value && !node.constantInput(at)).map(text),
      outputs: node.outputs.map(text),
      weightBytes: used.reduce((sum, tensor) => sum + tensor.byteLength, 0),
      macs: count && 'macs' in count ? count.macs : null,
    };
  });
}

/** Where a node is when not in the main graph: its owner and the attribute, or the function. */
export function placeOf({ graph }: Node): string | null {
  const owner = graph?.owner;
  if (owner) {
    const attribute = [...owner.attributes].find(
      ([, { value }]) => value === graph || (Array.isArray(value) && value.includes(graph)),
    );
    return `${owner} ${attribute?.[0] ?? ''}`.trimEnd();
  }
  const fn = graph?.model?.functions.find(({ body }) => body === graph);
  return fn ? `function ${fn.name}` : null;
}

/** Plain JSON. */
export interface TensorRow {
  readonly tensor: string;
  readonly role: ConstantRole;
  /** The operator that uses it in this role; 'none' for an unused one. */
  readonly op: string;
  readonly type: string;
  readonly elements: number;
  readonly bytes: number;
  /** File that holds it, where that is not the model's own. */
  readonly location: string | null;
}

/** Every constant, most bytes first. */
export function tensorRows(model: Model): TensorRow[] {
  return Array.from(constantsOf(model), ({ value, tensor, bytes }) => {
    const { role, op, elements } = mainUse(value, tensor);
    const { content } = tensor;
    return {
      tensor: value.name,
      role,
      op,
      type: `${tensor.dataType}${dimsText(tensor.dims)}`,
      elements,
      bytes,
      location: content.kind === 'range' ? content.location : null,
    };
  }).sort((a, b) => b.bytes - a.bytes);
}

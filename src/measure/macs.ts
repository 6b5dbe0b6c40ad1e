/**
 * Multiply-accumulates and memory traffic of a whole model: sums what ops/cost.ts knows of each
 * node, and names every node that it does not know.
 */
import type { Engine } from '../engine/engine.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import type { Node } from '../graph/node.js';
import { bytesMovedBy, countNodeMacs, subgraphRuns, type TypeLookup } from '../ops/cost.js';
import { concreteTypes, type DimOptions } from './concrete-types.js';

/** Plain JSON. For one run at the dims in `inputs`. */
export interface MacsReport {
  /** Multiply-accumulates of the nodes that are known. */
  readonly macs: number;
  /** Bytes that the nodes read and write, each input and output of a node once. */
  readonly bytesMoved: number;
  /** The same by operator, most MACs first. */
  readonly byOperator: readonly OperatorWork[];
  /** Nodes whose MACs are not in the sum. */
  readonly unknown: readonly UnknownWork[];
  /** Dims of the inputs that the figures are for. */
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  /** Assumptions, such as how often a loop runs. */
  readonly notes: readonly string[];
}

export interface OperatorWork {
  readonly op: string;
  readonly nodes: number;
  readonly macs: number;
  readonly bytesMoved: number;
}

export interface UnknownWork {
  readonly node: string;
  readonly op: string;
  readonly reason: string;
}

/**
 * Infers the shapes and counts. See `concreteTypes` for dims and errors.
 * @example (await measureMacs(engine, model)).macs // 1_814_073_344 for ResNet-18
 */
export async function measureMacs(
  engine: Engine,
  model: Model,
  options: DimOptions = {},
): Promise<MacsReport> {
  const { types, inputs, notes } = await concreteTypes(engine, model, options);
  const counted = countMacs(model, types);
  return { ...counted, inputs, notes: [...notes, ...counted.notes] };
}

/**
 * Counts with types that the caller has. A branch counts as the costlier of its graphs, the body
 * of a loop as one turn; both are noted.
 */
export function countMacs(model: Model, types: TypeLookup): Omit<MacsReport, 'inputs'> {
  const work = countGraph(model.graph, types);
  return {
    macs: work.macs,
    bytesMoved: work.bytesMoved,
    byOperator: [...work.byOperator.values()].sort(
      (a, b) => b.macs - a.macs || b.bytesMoved - a.bytesMoved,
    ),
    unknown: work.unknown,
    notes: [...new Set(work.notes)],
  };
}

/** "MACs of 3 nodes are unknown: Foo, Bar"; undefined when all are known. */
export function describeUnknown({ unknown }: Pick<MacsReport, 'unknown'>): string | undefined {
  if (unknown.length === 0) return undefined;
  const reasons = [...new Set(unknown.map(({ op, reason }) => `${op} (${reason})`))];
  const nodes = unknown.length === 1 ? 'node' : 'nodes';
  return `MACs of ${unknown.length} ${nodes} are unknown: ${reasons.join(', ')}`;
}

interface Work {
  macs: number;
  bytesMoved: number;
  readonly byOperator: Map<string, { -readonly [key in keyof OperatorWork]: OperatorWork[key] }>;
  readonly unknown: UnknownWork[];
  readonly notes: string[];
}

const reasons = {
  operator: 'its cost is not in the table',
  shape: 'a shape that it needs is not known',
  subgraph: 'its work is in its subgraphs',
} as const;

function countGraph(graph: Graph, types: TypeLookup): Work {
  const work: Work = { macs: 0, bytesMoved: 0, byOperator: new Map(), unknown: [], notes: [] };
  for (const node of graph.nodes) {
    if (node.subgraphs.length > 0) addSubgraphs(work, node, types);
    else addNode(work, node, types);
  }
  return work;
}

function addNode(work: Work, node: Node, types: TypeLookup): void {
  const count = countNodeMacs(node, types);
  const macs = 'macs' in count ? count.macs : 0;
  const bytesMoved = bytesMovedBy(node, types) ?? 0;
  if ('unknown' in count) {
    const { op, label } = node;
    work.unknown.push({ node: label, op, reason: reasons[count.unknown] });
  }
  addRow(work, { op: node.op, nodes: 1, macs, bytesMoved });
}

function addSubgraphs(work: Work, node: Node, types: TypeLookup): void {
  const graphs = node.subgraphs.map((graph) => countGraph(graph, types));
  const oneOf = subgraphRuns(node) === 'one of them';
  const largest = graphs.reduce((a, b) => (b.macs > a.macs ? b : a));
  work.notes.push(
    oneOf
      ? `${node}: the costlier of its branches is counted`
      : `${node}: one turn of its body is counted`,
  );
  for (const inner of oneOf ? [largest] : graphs) {
    for (const row of inner.byOperator.values()) addRow(work, row);
    work.unknown.push(...inner.unknown);
    work.notes.push(...inner.notes);
  }
}

function addRow(work: Work, row: OperatorWork): void {
  work.macs += row.macs;
  work.bytesMoved += row.bytesMoved;
  const sum = work.byOperator.get(row.op);
  if (!sum) {
    work.byOperator.set(row.op, { ...row });
    return;
  }
  sum.nodes += row.nodes;
  sum.macs += row.macs;
  sum.bytesMoved += row.bytesMoved;
}

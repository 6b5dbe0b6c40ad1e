/**
 * Finds the residual branches of a graph by their structure: y = x + f(x), where everything that
 * f computes of x ends in this sum. Names play no part. Nothing is changed here.
 *
 * For each sum a walk back from one side looks for the other. A graph of n nodes with s sums costs
 * s * n steps at most; nodes before the stream's own are never looked at.
 */
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { roleOfInput } from '../../ops/input-roles.js';
import { isJoin } from '../../ops/joins.js';
import { weightForms } from '../mask/weight-forms.js';

export interface Branch {
  /** The output of the sum, by which copies of the model find it again. */
  readonly output: string;
  /** Which input of the sum is the stream; the other one is the branch. */
  readonly streamIndex: 0 | 1;
  readonly join: Node;
  /** Nodes that lead from the stream to the sum, without it, in order of execution. */
  readonly nodes: ReadonlySet<Node>;
}

/** A sum that could have been a branch, and why it is none. */
export interface NoBranch {
  readonly join: Node;
  readonly streamIndex: 0 | 1;
  readonly reason: string;
}

/** The branches of the main graph, in order of execution. */
export function findBranches(model: Model): { branches: Branch[]; others: NoBranch[] } {
  const position = new Map([...model.graph.nodes].map((node, at) => [node, at]));
  const branches: Branch[] = [];
  const others: NoBranch[] = [];
  for (const join of model.graph.nodes) {
    if (!isJoin(join)) continue;
    for (const streamIndex of [0, 1] as const) {
      const found = branchAt(join, streamIndex, position);
      if (found === undefined) continue;
      if ('reason' in found) others.push({ join, streamIndex, ...found });
      else branches.push(found);
    }
  }
  return { branches, others };
}

/** Undefined where this side is no stream: the other does not come from it. */
function branchAt(
  join: Node,
  streamIndex: 0 | 1,
  position: ReadonlyMap<Node, number>,
): Branch | { readonly reason: string } | undefined {
  const stream = join.input(streamIndex);
  const end = join.input(1 - streamIndex);
  if (stream.constant || end.constant || stream === end) return undefined;
  const nodes = nodesBetween(stream, end, position);
  if (nodes.size === 0 || ![...nodes].some(holdsWeight)) return undefined;
  for (const node of nodes) {
    for (const output of node.outputs) {
      const way = output && wayOut(output, nodes, join);
      if (way) return { reason: `its branch is used elsewhere too: ${way}` };
    }
  }
  return { output: join.output().name, streamIndex, join, nodes };
}

/** Nodes through which `end` depends on `stream`. */
function nodesBetween(
  stream: Value,
  end: Value,
  position: ReadonlyMap<Node, number>,
): ReadonlySet<Node> {
  const first = stream.producer ? (position.get(stream.producer) ?? 0) : -1;
  const reached = new Map<Node, boolean>();
  const open: Node[] = end.producer ? [end.producer] : [];
  const behind: Node[] = [];
  while (open.length > 0) {
    const node = open.pop()!;
    if (reached.has(node) || (position.get(node) ?? -1) <= first) continue;
    reached.set(node, false);
    behind.push(node);
    for (const value of inputsOf(node)) if (value.producer) open.push(value.producer);
  }
  behind.sort((a, b) => position.get(a)! - position.get(b)!);
  const nodes = new Set<Node>();
  for (const node of behind) {
    for (const value of inputsOf(node)) {
      if (value === stream || (value.producer && nodes.has(value.producer))) nodes.add(node);
    }
  }
  return end.producer && nodes.has(end.producer) ? nodes : new Set();
}

/** What a node takes, by its subgraphs too. */
function* inputsOf(node: Node): Generator<Value> {
  for (const value of node.inputs) if (value) yield value;
  for (const graph of node.subgraphs) {
    for (const inner of graph.allNodes()) {
      for (const value of inner.inputs) if (value && value.graph === node.graph) yield value;
    }
  }
}

/** Who else uses the value; undefined where only the branch and its sum do. */
function wayOut(value: Value, nodes: ReadonlySet<Node>, join: Node): string | undefined {
  if (value.isOutput) return `"${value.name}" is an output of the model`;
  for (const user of value.users) {
    let owner = user;
    // A node inside a branch of If stands for the If.
    while (owner.graph !== join.graph && owner.graph?.owner) owner = owner.graph.owner;
    if (owner !== join && !nodes.has(owner)) return `by ${user.op} ${user.label}`;
  }
  return undefined;
}

/** The node multiplies with numbers that training found, stored plainly or quantized. */
export function holdsWeight(node: Node): boolean {
  return node.inputs.some((value, index) => {
    const tensor = value && constantBehind(value);
    return tensor !== undefined && roleOfInput(node, index, tensor) === 'weight';
  });
}

function constantBehind(value: Value) {
  let at: Value | undefined = value;
  while (at && !at.constant && at.producer) {
    const { inputs } = at.producer as Node;
    // Scales and zero points beside it are constants too.
    if (!inputs.slice(1).every((each) => !each || each.constant)) return undefined;
    at = inputs[0];
  }
  return at?.constant;
}

/**
 * What a branch is made of, as text that is equal for repeated ones: its contractions, with and
 * without weights. Glue around them differs where a first layer shares a constant with others.
 */
export function signatureOf({ nodes }: Branch): string {
  const parts: string[] = [];
  for (const node of nodes) {
    const weight = holdsWeight(node);
    if (weight || weightForms[node.op]) parts.push(`${node.op}${weight ? '*' : ''}`);
  }
  return parts.sort().join(' ');
}

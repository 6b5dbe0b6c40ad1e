/**
 * Where integers go: which nodes run on integer kernels, which values are quantized, and which of
 * them share a scale. Decides by the facts in ops/integer-roles.ts; writes nothing.
 */
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { type ComputeRole, type IntegerRole, integerRoles } from '../../ops/integer-roles.js';
import { type FoundWeight, findWeight } from '../find-weight.js';

/** A node with integer weights. */
export interface ComputeNode {
  readonly node: Node;
  readonly role: ComputeRole;
  readonly weight: FoundWeight;
  /** Axis of the output channels in the weight. */
  readonly axis: number;
}

export interface Plan {
  readonly compute: readonly ComputeNode[];
  /** All nodes that run on integers, the compute nodes among them. */
  readonly nodes: ReadonlySet<Node>;
  /** Values that get a QuantizeLinear, in graph order; keys of one group share its scale. */
  readonly groups: ReadonlyMap<Value, ScaleGroup>;
  readonly skipped: readonly { readonly node: Node; readonly reason: string }[];
}

/** Values with one scale and zero point. */
export interface ScaleGroup {
  readonly values: Value[];
  /** The values whose range counts; the others only hold elements of these. */
  readonly sources: Value[];
}

export interface PlanRules {
  /** Whether a node may be quantized at all; a reason where not. */
  allowed(node: Node): string | undefined;
}

export async function planStatic(model: Model, rules: PlanRules): Promise<Plan> {
  const skipped: { node: Node; reason: string }[] = [];
  const compute = new Map<Node, ComputeNode>();
  for (const node of model.graph.nodes) {
    const role = integerRoles[node.op];
    if (role?.kind !== 'compute') continue;
    const found = rules.allowed(node) ?? (await computeNode(node, role));
    if (typeof found === 'string') skipped.push({ node, reason: found });
    else compute.set(node, found);
  }
  const nodes = growRegions(model, compute, rules, skipped);
  for (const node of model.graph.nodes) {
    const known = integerRoles[node.op];
    if (!known) skipped.push({ node, reason: `${node.op} has no integer kernel` });
  }
  return { compute: [...compute.values()], nodes, groups: groupValues(model, nodes), skipped };
}

async function computeNode(node: Node, role: ComputeRole): Promise<ComputeNode | string> {
  const weight = await findWeight(node, 1);
  if ('reason' in weight) return weight.reason;
  if (weight.dataType !== 'float')
    return `its weight is ${weight.dataType}, integer kernels take float32`;
  const axis = role.weightAxis(node, weight.dims.length);
  if (axis === undefined) return 'its weight has a shape that the integer kernel does not take';
  const bias = node.constantInput(2);
  if (node.inputs[2] && !bias) return 'its bias is computed';
  if (bias && bias.size !== weight.dims[axis]) {
    return `its bias has ${bias.size} numbers for ${weight.dims[axis]} output channels`;
  }
  return { node, role, weight, axis };
}

/**
 * Kernels and carriers between compute nodes join them where all that they take is quantized
 * anyway, and where a compute node follows: at the tail of a model an integer would only cost
 * accuracy.
 */
function growRegions(
  model: Model,
  compute: ReadonlyMap<Node, ComputeNode>,
  rules: PlanRules,
  skipped: { node: Node; reason: string }[],
): Set<Node> {
  const leads = leadingToCompute(model, compute);
  const nodes = new Set<Node>();
  for (const node of model.graph.nodes) {
    if (compute.has(node)) {
      nodes.add(node);
      continue;
    }
    const role = integerRoles[node.op];
    if (!role || role.kind === 'compute' || role.kind === 'clip') continue;
    const reason =
      rules.allowed(node) ??
      (leads.has(node) ? undefined : 'no integer kernel follows it') ??
      (activationsOf(node, role).every((value) => value && isQuantized(value, nodes, compute))
        ? undefined
        : 'one of its inputs is float');
    if (reason) skipped.push({ node, reason });
    else nodes.add(node);
  }
  return nodes;
}

/** Nodes from which a compute node can be reached. */
function leadingToCompute(model: Model, compute: ReadonlyMap<Node, ComputeNode>): Set<Node> {
  const leads = new Set<Node>();
  for (const node of [...model.graph.nodes].reverse()) {
    const follows = node.outputs.some((output) =>
      [...(output?.users ?? [])].some((user) => compute.has(user) || leads.has(user)),
    );
    if (follows) leads.add(node);
  }
  return leads;
}

/** What must be quantized for the node's kernel; shapes and indices are no activations. */
function activationsOf(node: Node, role: IntegerRole): (Value | undefined)[] {
  return role.kind === 'carry' || role.kind === 'compute' ? [node.inputs[0]] : [...node.inputs];
}

/**
 * The value gets a Q in any case: it comes out of an integer node, directly or through a clip that
 * will be absorbed, or a compute node takes it.
 */
function isQuantized(
  value: Value,
  nodes: ReadonlySet<Node>,
  compute: ReadonlyMap<Node, ComputeNode>,
): boolean {
  const { producer } = value;
  if ([...value.users].some((user) => compute.has(user) && user.inputs[0] === value)) return true;
  if (!producer) return false;
  if (nodes.has(producer)) return true;
  const before = absorbedBy(producer);
  return before !== undefined && nodes.has(before);
}

/** The node whose output this clip bounds, when it is the clip's alone. */
function absorbedBy(clipNode: Node): Node | undefined {
  if (integerRoles[clipNode.op]?.kind !== 'clip') return undefined;
  const input = clipNode.inputs[0];
  return input?.producer && input.onlyUse ? input.producer : undefined;
}

/** The value behind a node that gets the Q: after the clip, where one is absorbed. */
function quantizedOutput(output: Value): Value {
  const use = output.onlyUse;
  return use && absorbedBy(use.node) === output.producer ? use.node.output() : output;
}

function groupValues(model: Model, nodes: ReadonlySet<Node>): Map<Value, ScaleGroup> {
  const groups = new Map<Value, ScaleGroup>();
  const groupOf = (value: Value): ScaleGroup => {
    let group = groups.get(value);
    if (!group) groups.set(value, (group = { values: [value], sources: [value] }));
    return group;
  };
  const unite = (a: Value, b: Value) => {
    const into = groupOf(a);
    const from = groupOf(b);
    if (into === from) return;
    into.values.push(...from.values);
    into.sources.push(...from.sources);
    for (const value of from.values) groups.set(value, into);
  };
  for (const node of model.graph.nodes) {
    if (!nodes.has(node)) continue;
    const role = integerRoles[node.op]!;
    for (const value of activationsOf(node, role)) groupOf(value!);
    for (const output of node.outputs) {
      if (
        !output ||
        (role.kind === 'compute' && role.floatOutput && !feedsIntegers(output, nodes))
      ) {
        continue;
      }
      const value = quantizedOutput(output);
      groupOf(value);
      if (role.kind === 'carry' && value === output) {
        unite(node.input(0), value);
        const group = groups.get(value)!;
        group.sources.splice(group.sources.indexOf(value), 1);
      }
      if (role.kind === 'join') for (const input of node.inputs) unite(value, input!);
    }
  }
  return groups;
}

/** Some integer node takes the value, directly or behind a clip or a carrier. */
function feedsIntegers(output: Value, nodes: ReadonlySet<Node>): boolean {
  return [...quantizedOutput(output).users].some((user) => nodes.has(user));
}

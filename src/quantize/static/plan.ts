/**
 * Where integers go: which nodes run on integer kernels, which values are quantized, and which of
 * them share a scale. Decides by the facts in ops/integer-roles.ts; writes nothing.
 */
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import {
  type Bounds,
  type ComputeRole,
  type IntegerFormat,
  type IntegerRole,
  integerRoles,
} from '../../ops/integer-roles.js';
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
  /** Clips that the range of their output makes superfluous, with the bounds that it must keep. */
  readonly absorbed: ReadonlyMap<Node, Bounds>;
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
  /** Clips that must stay, since the range behind them turned out wider than their bounds. */
  readonly standing: ReadonlySet<Node>;
  readonly format: IntegerFormat;
}

export async function planStatic(model: Model, rules: PlanRules): Promise<Plan> {
  const skipped: { node: Node; reason: string }[] = [];
  const compute = new Map<Node, ComputeNode>();
  const clips = new Map<Node, Bounds>();
  for (const node of model.graph.nodes) {
    const role = integerRoles[node.op];
    if (role?.kind === 'clip' && !rules.standing.has(node)) {
      const bounds = await role.bounds(node);
      if (bounds) clips.set(node, bounds);
    }
    if (role?.kind !== 'compute') continue;
    const found = rules.allowed(node) ?? (await computeNode(node, role));
    if (typeof found === 'string') skipped.push({ node, reason: found });
    else compute.set(node, found);
  }
  const region = new Region(compute, clips);
  region.grow(model, rules, skipped);
  const groups = groupValues(model, region);
  // Behind a kernel that gives float nothing is quantized, so nothing can take a clip in.
  const absorbed = new Map(
    [...clips].filter(([node]) => region.absorbedBy(node) && groups.has(node.output())),
  );
  for (const node of model.graph.nodes) {
    const role = integerRoles[node.op];
    if (!role) skipped.push({ node, reason: `${node.op} has no integer kernel` });
    else if (role.kind === 'clip' && !absorbed.has(node)) {
      skipped.push({ node, reason: clipReason(node, rules) });
    }
    for (const graph of node.subgraphs) {
      const reason = `inside the body of ${node}, whose values are not calibrated`;
      for (const inner of graph.allNodes()) skipped.push({ node: inner, reason });
    }
  }
  for (const fn of model.functions) {
    const reason = `inside the model function ${fn.name}`;
    for (const inner of fn.body.allNodes()) skipped.push({ node: inner, reason });
  }
  const { nodes } = region;
  return { compute: [...compute.values()], nodes, absorbed, groups, skipped };
}

function clipReason(node: Node, { standing }: PlanRules): string {
  return standing.has(node)
    ? 'the integers of its output reach beyond its bounds'
    : 'no integer kernel alone feeds it';
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
  const channels = weight.dims[axis];
  if (bias && (bias.size !== channels || (bias.dims.at(-1) ?? 1) !== channels)) {
    return `its bias is [${bias.dims.join(',')}] for ${channels} output channels`;
  }
  return { node, role, weight, axis };
}

/** The nodes that run on integers, and the clips behind them. */
class Region {
  readonly nodes = new Set<Node>();
  readonly #compute: ReadonlyMap<Node, ComputeNode>;
  readonly #clips: ReadonlyMap<Node, Bounds>;

  constructor(compute: ReadonlyMap<Node, ComputeNode>, clips: ReadonlyMap<Node, Bounds>) {
    this.#compute = compute;
    this.#clips = clips;
  }

  /**
   * Kernels and carriers between compute nodes join them where all that they take is quantized
   * anyway, and where a compute node follows: at the tail of a model an integer would only cost
   * accuracy.
   */
  grow(model: Model, rules: PlanRules, skipped: { node: Node; reason: string }[]): void {
    const leads = leadingToCompute(model, this.#compute);
    for (const node of model.graph.nodes) {
      if (this.#compute.has(node)) {
        this.nodes.add(node);
        continue;
      }
      const role = integerRoles[node.op];
      if (!role || role.kind === 'compute' || role.kind === 'clip') continue;
      const reason =
        rules.allowed(node) ??
        (leads.has(node) ? undefined : 'no integer kernel follows it') ??
        (role.kind === 'kernel' ? role.refuses?.(node, rules.format) : undefined) ??
        this.#valueReason(node, role);
      if (reason) skipped.push({ node, reason });
      else this.nodes.add(node);
    }
  }

  #valueReason(node: Node, role: IntegerRole): string | undefined {
    for (const value of [...activationsOf(node, role), ...node.outputs]) {
      const { dataType } = value ?? {};
      if (dataType && dataType !== 'float') return `"${value}" is ${dataType}, which has no scale`;
    }
    for (const value of activationsOf(node, role)) {
      if (!value) return 'one of its inputs is left out';
      if (value.constant) {
        return `its constant input "${value}" is float`;
      }
      if (!this.#isQuantized(value)) return `its input "${value}" is float`;
      if (role.kind === 'carry' && role.onlyBehindIntegers && !this.#isFromIntegers(value)) {
        return `${node.op} is slow in integers behind float`;
      }
    }
    return undefined;
  }

  /**
   * The value gets a Q in any case: it comes out of an integer node, directly or through a clip
   * that will be absorbed, or a compute node takes it.
   */
  #isQuantized(value: Value): boolean {
    const isComputedWith = (user: Node) => this.#compute.has(user) && user.inputs[0] === value;
    return [...value.users].some(isComputedWith) || this.#isFromIntegers(value);
  }

  #isFromIntegers({ producer }: Value): boolean {
    if (!producer) return false;
    return this.nodes.has(producer) || this.absorbedBy(producer) !== undefined;
  }

  /**
   * The integer node whose output this clip bounds, when it is the clip's alone. What only moves
   * elements keeps the scale of its input, so it absorbs nothing.
   */
  absorbedBy(clip: Node): Node | undefined {
    if (!this.#clips.has(clip)) return undefined;
    const input = clip.inputs[0];
    const before = input?.onlyUse && input.producer;
    return before && this.nodes.has(before) && integerRoles[before.op]?.kind !== 'carry'
      ? before
      : undefined;
  }

  /** The value behind a node that gets the Q: after the clip, where one is absorbed. */
  quantizedOutput(output: Value): Value {
    const use = output.onlyUse;
    return use && this.absorbedBy(use.node) ? use.node.output() : output;
  }

  /** What is known of the bounds of a value, as a key; '' where nothing is. */
  boundsKey(clip: Node): string {
    const bounds = this.#clips.get(clip);
    return bounds ? `${bounds.min} to ${bounds.max}` : '';
  }

  /** Some integer node takes the value, directly or behind a clip or a carrier. */
  feedsIntegers(output: Value): boolean {
    return [...this.quantizedOutput(output).users].some((user) => this.nodes.has(user));
  }
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
 * Every value gets a group; carriers put their output into the group of their input. A join does
 * so with the inputs that it is the only user of, so that they are rounded once: others keep a
 * scale of their own for the sake of their other users, and so does an input behind a clip, which
 * is absorbed only as long as its range ends where the clip does.
 */
function groupValues(model: Model, region: Region): Map<Value, ScaleGroup> {
  const groups = new Map<Value, ScaleGroup>();
  /** The clip that bounds all elements of a value, as a key. */
  const bounds = new Map<Value, string>();
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
  const boundsOf = (value: Value) => bounds.get(value) ?? '';
  for (const node of model.graph.nodes) {
    if (!region.nodes.has(node)) continue;
    const role = integerRoles[node.op]!;
    const activations = activationsOf(node, role) as Value[];
    for (const value of activations) groupOf(value);
    for (const output of node.outputs) {
      if (!output) continue;
      if (role.kind === 'compute' && role.floatOutput && !region.feedsIntegers(output)) continue;
      const value = region.quantizedOutput(output);
      groupOf(value);
      if (value !== output) bounds.set(value, region.boundsKey(value.producer!));
      else if (role.kind === 'carry' || role.kind === 'join') {
        const keys = new Set(activations.map(boundsOf));
        if (keys.size === 1) bounds.set(value, [...keys][0]!);
      }
      if (role.kind === 'carry') {
        unite(node.input(0), value);
        const group = groups.get(value)!;
        group.sources.splice(group.sources.indexOf(value), 1);
      }
      if (role.kind !== 'join') continue;
      for (const input of new Set(activations)) {
        const alone = input.users.size === 1 && !input.isOutput;
        if (alone && boundsOf(input) === boundsOf(value)) unite(value, input);
      }
    }
  }
  return groups;
}

/**
 * Sets of values whose channels can only be scaled together: the output of a layer, what
 * activations and poolings make of it, and everything that a residual Add ties to it, up to the
 * layers that take it. Finds them; scales nothing.
 */
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { isAnnotationPart } from '../../simplify/edit.js';
import { knownDims } from '../../simplify/known.js';
import { type Linear, linearOf, whyNotChange } from '../../simplify/linear.js';
import { type Bounds, type ScalingRole, scalingRoles } from './scaling-roles.js';

export interface ChannelClass {
  /** Number of channels: axis 1 of every value. */
  readonly channels: number;
  readonly values: readonly Value[];
  /** Values that a layer or a tie takes: those that become integers, or stand for them. */
  readonly taken: readonly Value[];
  /** Linear nodes that make values of the class. */
  readonly producers: readonly Node[];
  /** Linear nodes that take values of the class, by the value. */
  readonly consumers: readonly { readonly node: Node; readonly value: Value }[];
  /** Bounded clips inside. */
  readonly clips: readonly (Bounds & { readonly node: Node })[];
}

export interface FoundClasses {
  readonly classes: readonly ChannelClass[];
  /** Layers whose outputs cannot be scaled. */
  readonly skipped: readonly { readonly node: Node; readonly reason: string }[];
}

/** Classes of the main graph, in graph order. Shapes must be known (inferShapes). */
export async function findChannelClasses(model: Model): Promise<FoundClasses> {
  const finder = new ClassFinder();
  for (const node of model.graph.nodes) finder.visit(node);
  return await finder.result();
}

/** A layer that has its channels on axis 1 on both sides. */
export function channelLinear(node: Node): Linear | { readonly reason: string } | undefined {
  const linear = linearOf(node);
  if (!linear || 'reason' in linear) return linear;
  if (linear.output.axis !== 1 || linear.input.axis !== 1 || linear.tail !== node) {
    return { reason: `${node.op} has its channels on another axis than 1` };
  }
  const whyNot = whyNotChange(linear, 0);
  return whyNot ? { reason: whyNot } : linear;
}

class ClassFinder {
  readonly #values = new Set<Value>();
  readonly #parents = new Map<Value, Value>();
  readonly #layers = new Map<Value, Node>();

  visit(node: Node): void {
    const role = roleOf(node);
    if (channelLinear(node)) {
      this.#layers.set(node.output(), node);
      this.#values.add(node.output());
    }
    if (!role) return;
    const inputs = role.kind === 'tie' ? node.inputs : [node.inputs[0]];
    for (const input of inputs) if (input) this.#unite(input, node.output());
  }

  async result(): Promise<FoundClasses> {
    const members = new Map<Value, Value[]>();
    const add = (value: Value) => {
      const root = this.#find(value);
      const list = members.get(root);
      if (list) list.push(value);
      else members.set(root, [value]);
    };
    for (const value of this.#values) add(value);
    const classes: ChannelClass[] = [];
    const skipped: { node: Node; reason: string }[] = [];
    for (const values of members.values()) {
      const producers = values.flatMap((value) => this.#layers.get(value) ?? []);
      if (producers.length === 0) continue;
      const found = await describeClass(values, producers);
      if (!('reason' in found)) classes.push(found);
      else for (const node of producers) skipped.push({ node, reason: found.reason });
    }
    return { classes, skipped };
  }

  #find(value: Value): Value {
    let root = value;
    for (let up = this.#parents.get(root); up; up = this.#parents.get(root)) root = up;
    return root;
  }

  #unite(a: Value, b: Value): void {
    this.#values.add(a).add(b);
    const from = this.#find(b);
    const into = this.#find(a);
    if (from !== into) this.#parents.set(from, into);
  }
}

function roleOf(node: Node): ScalingRole | undefined {
  // Before opset 7 attributes chose the broadcasting.
  if (node.has('broadcast')) return undefined;
  return Object.hasOwn(scalingRoles, node.op) ? scalingRoles[node.op] : undefined;
}

async function describeClass(
  values: readonly Value[],
  producers: readonly Node[],
): Promise<ChannelClass | { readonly reason: string }> {
  const first = channelLinear(producers[0]!)!;
  if ('reason' in first) return first;
  const channels = first.layout.outChannels;
  const consumers: { node: Node; value: Value }[] = [];
  const clips = new Map<Node, Bounds & { node: Node }>();
  const taken = new Set<Value>();
  for (const value of values) {
    const reason = whyNotScale(value, channels);
    if (reason) return { reason };
    for (const { node, index } of value.uses) {
      const role = roleOf(node);
      if (role?.kind === 'tie') taken.add(value);
      if (role && (index === 0 || role.kind === 'tie')) continue;
      const linear = channelLinear(node);
      if (!linear) return { reason: `${node.op} ${node.label} takes its output` };
      if ('reason' in linear) return linear;
      if (index !== linear.dataIndex || linear.layout.inChannels !== channels) {
        return { reason: `${node.op} ${node.label} takes its output otherwise than by channels` };
      }
      taken.add(value);
      consumers.push({ node, value });
    }
    const { producer } = value;
    const role = producer && roleOf(producer);
    if (role?.kind !== 'clip') continue;
    const bounds = await role.bounds(producer!);
    if (!bounds) return { reason: `the bounds of Clip ${producer!.label} are computed` };
    if (Number.isFinite(bounds.low) && bounds.low !== 0) {
      return { reason: `Clip ${producer!.label} has the lower bound ${bounds.low}` };
    }
    if (Number.isFinite(bounds.high)) clips.set(producer!, { ...bounds, node: producer! });
  }
  if (consumers.length === 0) return { reason: 'no layer takes its output' };
  return { channels, values, taken: [...taken], producers, consumers, clips: [...clips.values()] };
}

function whyNotScale(value: Value, channels: number): string | undefined {
  const { producer } = value;
  if (value.isOutput) return `"${value.name}" is an output of the model`;
  if (!producer)
    return `"${value.name}" is ${value.isInput ? 'an input of the model' : 'a constant'}`;
  if (isAnnotationPart(value)) return `"${value.name}" carries a quantization annotation`;
  for (const user of value.users) {
    if (user.graph !== value.graph) return `a subgraph takes "${value.name}"`;
  }
  const dims = knownDims(value);
  if (dims?.[1] !== channels)
    return `the shape of "${value.name}" is unknown or has other channels`;
  const role = roleOf(producer);
  if (!role) {
    const linear = channelLinear(producer);
    if (!linear) return `"${value.name}" is made by ${producer.op} ${producer.label}`;
    return 'reason' in linear ? linear.reason : undefined;
  }
  if (role.kind === 'tie') {
    const ranks = new Set(producer.inputs.map((input) => input && knownDims(input)?.length));
    return ranks.size === 1 && ranks.has(dims.length)
      ? undefined
      : `${producer.op} ${producer.label} broadcasts other ranks`;
  }
  if (role.kind !== 'reshape') return undefined;
  const before = knownDims(producer.input(0));
  const fits =
    before?.slice(2).every((dim) => dim === 1) && dims.slice(2).every((dim) => dim === 1);
  return fits ? undefined : `${producer.op} ${producer.label} mixes channels with positions`;
}

/**
 * Which nodes of a plan stay float because integers would be slower there, the ways into integers
 * and out of them counted. The parting with the least estimated time is a minimum cut: each node
 * has a time on either side, each value one for its QuantizeLinear or DequantizeLinear, paid once
 * for all who need it. Estimates come from ops/kernel-times.ts; nothing is run.
 *
 * Tried: leaving out the first layers by rule, which helps MobileNetV1 (0.25, 96x96: 0.80 to 1.15
 * times float) and costs ResNets; timing each node in both forms, which is not the same twice.
 */
import type { Target } from '../../engine/engine.js';
import type { Model } from '../../graph/model.js';
import type { Node } from '../../graph/node.js';
import type { Value } from '../../graph/value.js';
import { MinCut, secondSide } from '../../min-cut.js';
import { integerRoles } from '../../ops/integer-roles.js';
import { type KernelTimes, kernelTimes, type NodeTimes } from '../../ops/kernel-times.js';
import type { ComputeNode, Plan } from './plan.js';

/**
 * Nanoseconds. A network that float computes faster than this spends most of a run on the call:
 * there is nothing to gain, and whoever quantizes it wants integers.
 */
const leastWork = 20_000;
/** Estimates this close to each other tell nothing: then everything is quantized. */
const leastGain = 0.02;

/**
 * Nodes of the plan that are faster in float. None where the target was never measured or a
 * shape is unknown.
 */
export function fasterInFloat(model: Model, plan: Plan, target: Target): ReadonlySet<Node> {
  const none = new Set<Node>();
  const times = kernelTimes(target);
  const estimates = times && estimateNodes(model, plan, times);
  if (!estimates || floatWork(estimates) < leastWork) return none;
  const free = new Placement(plan, estimates);
  const allIntegers = new Placement(plan, estimates, { fixed: true });
  const found = free.solve();
  const before = allIntegers.solve();
  return found.cost < (1 - leastGain) * before.cost ? found.float : none;
}

interface Estimates {
  readonly nodes: ReadonlyMap<Node, NodeTimes>;
  /** By value that is quantized, or would be. */
  readonly crossings: ReadonlyMap<Value, number>;
}

/** Undefined where a size is unknown. */
function estimateNodes(model: Model, plan: Plan, times: KernelTimes): Estimates | undefined {
  const compute = new Map(plan.compute.map((each) => [each.node, each]));
  const nodes = new Map<Node, NodeTimes>();
  for (const node of model.graph.nodes) {
    if (!plan.nodes.has(node)) continue;
    const estimate = estimateNode(node, compute.get(node), times);
    if (!estimate) return undefined;
    nodes.set(node, estimate);
  }
  const crossings = new Map<Value, number>();
  for (const value of plan.groups.keys()) {
    const producer = producerOf(value, plan);
    const crossing = times.crossing(value, producer !== undefined && compute.has(producer));
    if (crossing === undefined) return undefined;
    crossings.set(value, crossing);
  }
  return { nodes, crossings };
}

function floatWork({ nodes }: Estimates): number {
  return [...nodes.values()].reduce((sum, { float }) => sum + float, 0);
}

function estimateNode(
  node: Node,
  compute: ComputeNode | undefined,
  times: KernelTimes,
): NodeTimes | undefined {
  if (!compute) return times.elementwise(node);
  const { role, weight, axis } = compute;
  const channels = role.channels?.(node, weight.dims);
  return channels
    ? times.convolution(node, weight.dims, channels)
    : times.product(node, weight.dims, axis);
}

/** The node of the plan that gives the value, directly or through a clip that it absorbs. */
function producerOf({ producer }: Value, plan: Plan): Node | undefined {
  const made = producer && plan.absorbed.has(producer) ? producer.input(0).producer : producer;
  return made && plan.nodes.has(made) ? made : undefined;
}

/** The first side of the cut is integers. */
class Placement {
  readonly #cut = new MinCut();
  readonly #things = new Map<Node, number>();

  constructor(
    plan: Plan,
    { nodes, crossings }: Estimates,
    { fixed }: { readonly fixed?: boolean } = {},
  ) {
    for (const [node, { float, integer }] of nodes) {
      const thing = this.#cut.add();
      this.#things.set(node, thing);
      this.#cut.price(thing, integer, fixed ? Number.POSITIVE_INFINITY : float);
    }
    for (const [value, cost] of crossings) this.#cross(value, producerOf(value, plan), cost);
    for (const node of nodes.keys()) {
      const role = integerRoles[node.op];
      if (role?.kind !== 'carry' || !role.onlyBehindIntegers) continue;
      const producer = producerOf(node.input(0), plan);
      this.#forbid(this.#things.get(node)!, producer ? this.#things.get(producer)! : secondSide);
    }
  }

  /** One QuantizeLinear serves all that take the value as integers, and so does the way back. */
  #cross(value: Value, producer: Node | undefined, cost: number): void {
    const made = producer ? this.#things.get(producer)! : secondSide;
    const entry = this.#cut.add();
    const exit = this.#cut.add();
    this.#cut.part(entry, made, cost);
    this.#cut.part(made, exit, cost);
    const isInside = (user: Node) => this.#things.has(user);
    for (const user of value.users) {
      const taker = this.#things.get(user);
      if (taker === undefined) continue;
      this.#forbid(taker, entry);
      this.#forbid(exit, taker);
    }
    if (value.isOutput || ![...value.users].every(isInside)) this.#forbid(exit, secondSide);
  }

  /** That `a` computes with integers while `b` does not. */
  #forbid(a: number, b: number): void {
    this.#cut.part(a, b, Number.POSITIVE_INFINITY);
  }

  solve(): { readonly cost: number; readonly float: ReadonlySet<Node> } {
    const { cost, isFirst } = this.#cut.solve();
    const float = [...this.#things].filter(([, thing]) => !isFirst(thing));
    return { cost, float: new Set(float.map(([node]) => node)) };
  }
}

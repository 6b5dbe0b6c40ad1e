/**
 * What can be repaired behind a cut, in which order, and what each layer should give. Looks at the
 * graph only.
 *
 * A layer in front of a residual Add aims at the sum and not at its own output: what the other
 * branch has lost by then is made good with it. Steps of one level do not see each other, so they
 * share a pass over the samples.
 */
import type { Graph } from '../../graph/graph.js';
import type { Node } from '../../graph/node.js';
import { producersOf } from '../../graph/topological.js';
import type { Value } from '../../graph/value.js';
import { channelNormalizations } from '../../ops/channel-normalizations.js';
import type { TypeLookup } from '../../ops/cost.js';
import { traitsOf } from '../../ops/traits.js';
import { weightInputs } from '../../ops/weights.js';
import type { Coupling, Cut } from '../family.js';
import { type LinearLayer, linearLayer } from './layers.js';

/** Names are those of values, which the cut leaves as they are. */
export interface LayerStep {
  readonly kind: 'layer';
  readonly level: number;
  /** Of the first output of the node. */
  readonly name: string;
  readonly layer: LinearLayer;
  /** In the original: what the layer, with the other branch, should give. */
  readonly target: string;
  /** In the pruned model: the other operand of the Add in front of the target. */
  readonly other: string | undefined;
}

export interface NormalizationStep {
  readonly kind: 'normalization';
  readonly level: number;
  /** Of the first output of the node. */
  readonly name: string;
  readonly node: Node;
}

export interface RepairPlan {
  readonly steps: readonly (LayerStep | NormalizationStep)[];
  /** Linear layers that see other inputs than before and are not fitted. */
  readonly left: readonly { readonly node: Node; readonly reason: string }[];
}

export interface PlanOptions {
  /** Layers with more inputs per group are not fitted: the solve grows with their cube. */
  readonly maxFeatures: number;
  /** Of the values of `coupling.model`. */
  readonly types: TypeLookup;
}

/** @param pruned the graph after the cut, with the value names of `coupling.model` */
export function planRepair(
  pruned: Graph,
  coupling: Coupling,
  cut: Cut,
  { maxFeatures, types }: PlanOptions,
): RepairPlan {
  const dimsOf = ({ name }: Value) => {
    const value = coupling.model.graph.find(name);
    return value && types(value)?.dims.join();
  };
  const { inexact, readers } = inexactNodes(coupling, cut);
  const levels = new Map<Node, number>();
  const order = new Map([...pruned.nodes].map((node, at) => [node, at]));
  const steps: (LayerStep | NormalizationStep)[] = [];
  const left: { node: Node; reason: string }[] = [];
  const levelOf = (node: Node | undefined) => (node && levels.get(node)) ?? 0;
  for (const node of pruned.nodes) {
    let level = Math.max(0, ...[...producersOf(node, pruned)].map(levelOf));
    const name = nameOf(node);
    const isInexact = inexact.has(name);
    const found = isInexact ? linearLayer(node) : undefined;
    const isUnknown = isInexact && !found && hasWeights(node, readers);
    if (isInexact && channelNormalizations[node.op]) {
      steps.push({ kind: 'normalization', level: ++level, name, node });
    } else if (isUnknown)
      left.push({ node, reason: `repair does not fit the weights of ${node.op}` });
    else if (found && 'reason' in found) left.push({ node, reason: found.reason });
    else if (found && found.features > maxFeatures) {
      left.push({ node, reason: `its ${found.features} inputs are more than ${maxFeatures}` });
    } else if (found) {
      const sum = residualSum(found, order, dimsOf);
      level = Math.max(level, levelOf(sum?.other.producer)) + 1;
      const target = sum?.result ?? found.result;
      steps.push({
        kind: 'layer',
        level,
        name,
        layer: found,
        target: target.name,
        other: sum?.other.name,
      });
    }
    levels.set(node, level);
  }
  return { steps: steps.sort((a, b) => a.level - b.level), left };
}

/** The addition of two branches behind a layer, where the other branch is complete before it. */
function residualSum(
  { node, result }: LinearLayer,
  order: ReadonlyMap<Node, number>,
  dimsOf: (value: Value) => string | undefined,
): { readonly result: Value; readonly other: Value } | undefined {
  const use = result.onlyUse;
  if (!use || !traitsOf(use.node.op).sum || use.node.inputs.length !== 2) return undefined;
  const other = use.node.input(1 - use.index);
  const isActivation = other !== result && !other.constant;
  const isEarlier = other.producer ? order.get(other.producer)! < order.get(node)! : other.isInput;
  const isAlike = dimsOf(other) !== undefined && dimsOf(other) === dimsOf(result);
  return isActivation && isEarlier && isAlike ? { result: use.node.output(), other } : undefined;
}

function nameOf({ outputs }: Node): string {
  return outputs.find((output) => output)?.name ?? '';
}

/** It multiplies by constants: what pare knows as weights, or what reads a width that was cut. */
function hasWeights(node: Node, readers: ReadonlySet<string>): boolean {
  if (readers.has(nameOf(node))) return true;
  const weights = weightInputs[node.op]?.(node) ?? [];
  return weights.some(({ index }) => node.inputs[index]?.isConstant);
}

/**
 * Nodes by the name of their first output. `inexact`: those that compute something else after the
 * cut, apart from units that are gone: nodes that mix the units of a family, and what lies behind
 * them. `readers`: those among them that hold a weight of a width that was cut.
 */
function inexactNodes(
  { model, families }: Coupling,
  cut: Cut,
): { readonly inexact: ReadonlySet<string>; readonly readers: ReadonlySet<string> } {
  const smaller = families.filter(({ id }) => (cut.get(id)?.size ?? 0) > 0);
  const readers = new Set<Node>();
  const carriedBy = new Map<Value, Set<string>>();
  for (const { id, members, carriers } of smaller) {
    for (const { node, side } of members) if (side === 'in') readers.add(node);
    for (const { value } of carriers) {
      const ids = carriedBy.get(value) ?? new Set();
      carriedBy.set(value, ids.add(id));
    }
  }
  const inexact = new Set<Value>();
  const names = new Set<string>();
  for (const node of model.graph.nodes) {
    const inputs = node.inputs.filter((value) => value !== undefined);
    const outputs = node.outputs.filter((value) => value !== undefined);
    const mixes = inputs.some((input) =>
      [...(carriedBy.get(input) ?? [])].some(
        (id) => !outputs.some((output) => carriedBy.get(output)?.has(id)),
      ),
    );
    if (!readers.has(node) && !mixes && !inputs.some((input) => inexact.has(input))) continue;
    for (const output of outputs) inexact.add(output);
    names.add(nameOf(node));
  }

  return { inexact: names, readers: new Set([...readers].map(nameOf)) };
}

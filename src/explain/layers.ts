/**
 * Finds what is explained: the outputs of every layer with weights, one unit per channel or neuron,
 * and the heads of attention, where several indices are one unit. A layer is looked at behind its
 * bias, normalization and activation, as far as nothing else reads what is between. Runs nothing.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { channelNormalizations } from '../ops/channel-normalizations.js';
import { outputChannels } from '../ops/output-channels.js';
import { traitsOf } from '../ops/traits.js';
import { weightInputs } from '../ops/weights.js';
import { connectionsOf, consumedCarriers } from '../prune/criteria/criterion.js';
import type { Coupling, Family } from '../prune/family.js';
import type { LayerExplanation } from './explanation.js';

/** Where the units of a layer lie along an axis of a constant. */
export interface LayerWeight {
  readonly value: Value;
  readonly axis: number;
  readonly unitOf: Int32Array;
}

export interface Layer {
  /** Label of the node that makes the units. */
  readonly id: string;
  readonly node: Node;
  readonly value: Value;
  readonly axis: number;
  readonly rank: number;
  readonly kind: LayerExplanation['kind'];
  readonly units: number;
  readonly unitWidth: number;
  /** The unit of each index along the axis, or -1. */
  readonly unitOf: Int32Array;
  readonly weights: readonly LayerWeight[];
}

export interface FoundLayers {
  readonly layers: readonly Layer[];
  /** The layer whose units are the classes; its units are not scored. */
  readonly output: Layer | undefined;
  readonly skipped: readonly { readonly what: string; readonly reason: string }[];
}

/**
 * @param coupling of the model; its families tell the heads
 * @param logits what the model says, which no layer before it may be mistaken for
 */
export function findLayers(coupling: Coupling, logits: Value): FoundLayers {
  const { model, families, dims } = coupling;
  const skipped: { what: string; reason: string }[] = [];
  const layers: Layer[] = [];
  let output: Layer | undefined;
  const attention = families.filter(({ kind }) => kind === 'heads');
  const inHeads = new Set(attention.flatMap(({ carriers }) => carriers.map(({ value }) => value)));
  for (const family of attention) {
    const layer = headLayer(family, dims);
    if ('reason' in layer) skipped.push({ what: family.id, reason: layer.reason });
    else layers.push(layer);
  }
  for (const node of model.graph.nodes) {
    const layer = layerOf(node, dims);
    if (!layer) continue;
    if ('reason' in layer) skipped.push({ what: node.label, reason: layer.reason });
    else if (leadsTo(layer.value, logits)) output = layer;
    else if (!inHeads.has(node.outputs[0]!)) layers.push(layer);
  }
  const order = new Map([...model.graph.nodes].map((node, at) => [node, at]));
  layers.sort((a, b) => order.get(a.node)! - order.get(b.node)!);
  return { layers, output, skipped };
}

type Dims = Coupling['dims'];

function layerOf(node: Node, dims: Dims): Layer | { readonly reason: string } | undefined {
  const axisOf = outputChannels[node.op];
  const output = node.outputs[0];
  const weight = weightInputs[node.op]?.(node).find(({ index }) => node.inputs[index]?.constant);
  if (!weight || !output) return undefined;
  if (!axisOf) return { reason: `pare does not know which axis of a ${node.op} its units are on` };
  const rank = dims.get(output)?.length;
  if (rank === undefined) return { reason: 'the rank of its output is not known' };
  const axis = axisOf(weight.index, rank);
  const value = node.inputs[weight.index]!;
  const weightAxis = weight.axis(value.constant!.dims.length);
  if (axis === undefined || weightAxis === undefined)
    return { reason: 'its weight has no axis of output channels' };
  if (axis < 1) return { reason: 'its units are not told apart from the samples of a batch' };
  const units = dims.get(output)![axis]!;
  const all = Int32Array.from({ length: units }, (_, unit) => unit);
  const isLaidOut = value.constant!.dims[weightAxis] === units;
  return {
    id: node.label,
    node,
    value: lookBehind(output, dims),
    axis,
    rank,
    kind: rank > 2 && axis === 1 ? 'channels' : 'neurons',
    units,
    unitWidth: 1,
    unitOf: all,
    weights: isLaidOut ? [{ value, axis: weightAxis, unitOf: all }] : [],
  };
}

/** The heads where the projection behind the attention reads them. */
function headLayer(family: Family, dims: Dims): Layer | { readonly reason: string } {
  const [carrier] = consumedCarriers(family);
  if (!carrier) return { reason: 'no value carries its heads' };
  const { value, axis, unitOf } = carrier;
  const counts = new Int32Array(family.units);
  for (const unit of unitOf) if (unit >= 0) counts[unit]!++;
  const unitWidth = counts[0]!;
  if (counts.some((count) => count !== unitWidth)) return { reason: 'its units differ in width' };
  if (axis < 1) return { reason: 'its units are not told apart from the samples of a batch' };
  return {
    id: family.id,
    node: value.producer ?? family.members[0]!.node,
    value,
    axis,
    rank: dims.get(value)!.length,
    kind: 'heads',
    units: family.units,
    unitWidth,
    unitOf,
    weights: connectionsOf(family),
  };
}

/** The last value on the way from a layer that is still made of its units alone, one by one. */
function lookBehind(start: Value, dims: Dims): Value {
  let value = start;
  for (;;) {
    const use = value.onlyUse;
    const next = use?.node.outputs[0];
    if (!use || !next || !isUnitwise(use.node, value)) return value;
    if (dims.get(next)?.join() !== dims.get(value)?.join()) return value;
    value = next;
  }
}

/** Whether the node changes each unit by itself: activation, norm with constants, bias, scale. */
function isUnitwise(node: Node, value: Value): boolean {
  if (!readsOnly(node, value)) return false;
  const { elementwise, widens } = traitsOf(node.op);
  return (elementwise !== undefined && !widens) || channelNormalizations[node.op] !== undefined;
}

/** Whether nothing but a reshape and the like lies between the value and the logits. */
function leadsTo(value: Value, logits: Value): boolean {
  let at: Value | undefined = value;
  while (at && at !== logits) {
    const node: Node | undefined = at.onlyUse?.node;
    at = node && !hasWeights(node) && readsOnly(node, at) ? node.outputs[0] : undefined;
  }
  return at === logits;
}

/** Everything else that the node reads is constant. */
function readsOnly(node: Node, value: Value): boolean {
  return node.inputs.every((input) => !input || input === value || input.constant);
}

function hasWeights(node: Node): boolean {
  return weightInputs[node.op] !== undefined;
}

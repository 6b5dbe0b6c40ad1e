/**
 * Folds a per-channel affine map into the linear operator before or after it, through the one
 * interface that all linear operators are described by. Which operators there are is the table in
 * linear-operators.ts.
 */
import type { Node } from '../graph/node.js';
import type { Value } from '../graph/value.js';
import { Tensor } from '../onnx/tensor.js';
import {
  type Affine,
  floatArray,
  isFoldable,
  scaleWeight,
  shiftThrough,
  type WeightLayout,
} from './affine.js';
import { isOwnConstant, setConstantInput } from './edit.js';
import { type LinearDescription, linearOperators } from './linear-operators.js';

export interface Reason {
  readonly reason: string;
}

/** Where the channels of a value lie: an axis, counted from the end when negative. */
export interface ChannelPlace {
  readonly axis: number;
  readonly rank: number | undefined;
}

/** A linear operator with constant weight. */
export interface Linear extends LinearDescription {
  readonly node: Node;
  readonly weight: Tensor;
  readonly layout: WeightLayout;
}

/** Describes the node, or says why it cannot take an affine map into its weight. */
export function linearOf(node: Node): Linear | Reason | undefined {
  if (!Object.hasOwn(linearOperators, node.op)) return undefined;
  const description = linearOperators[node.op]!(node);
  if ('reason' in description) return description;
  const weight = node.constantInput(description.weightIndex)!;
  if (!isFoldable(weight.dataType))
    return { reason: `${node.label} has ${weight.dataType} weights` };
  return { ...description, node, weight };
}

/** The linear operator whose result the value is, through its bias where that is a node. */
export function linearBefore(value: Value): Linear | Reason {
  const producer = value.producer;
  if (!producer) return { reason: `"${value.name}" is made by no node` };
  const direct = linearOf(producer);
  if (direct) return 'reason' in direct || direct.tail === producer ? direct : inMiddle(direct);
  for (const input of producer.inputs) {
    const linear = input?.producer && linearOf(input.producer);
    if (linear && !('reason' in linear) && linear.tail === producer) return linear;
  }
  return { reason: `its input is made by ${producer.op} ${producer.label}` };
}

function inMiddle(linear: Linear): Reason {
  return { reason: `the bias of ${linear.node.label} comes in between` };
}

/** True when the two places are the same axis. */
export function samePlace(a: ChannelPlace, b: ChannelPlace): boolean {
  if (a.axis === b.axis) return true;
  const rank = a.rank ?? b.rank;
  const fromFront = ({ axis }: ChannelPlace) =>
    axis >= 0 ? axis : rank === undefined ? undefined : axis + rank;
  return fromFront(a) !== undefined && fromFront(a) === fromFront(b);
}

/** Why the weight cannot be changed, undefined when it can. A shared one is copied up to a limit. */
export function whyNotChange(linear: Linear, copyLimitBytes: number): string | undefined {
  const { node, weightIndex, weight } = linear;
  if (isOwnConstant(node, weightIndex) || weight.byteLength <= copyLimitBytes) return undefined;
  return `the weight of ${node.label} (${weight.byteLength} bytes) is used elsewhere too`;
}

/** A change that was computed and found possible, but not made yet. */
export type Planned = () => void;

/**
 * Lets `linear` compute what `affine` makes of its output. Undefined when a number would leave the
 * range of the weight's type.
 */
export async function planAfter(linear: Linear, affine: Affine): Promise<Planned | undefined> {
  const { weight, layout } = linear;
  const scaled = await scaleWeight(weight, layout, 'out', affine.scale);
  const before = await linear.bias.read();
  const bias = affine.shift.map((shift, i) => (before?.[i] ?? 0) * affine.scale[i]! + shift);
  const needed = before !== undefined || bias.some((b) => b !== 0);
  return await planned(linear, scaled, needed ? bias : undefined);
}

/** Lets `linear` compute what it makes of the affine map of its input. */
export async function planBefore(linear: Linear, affine: Affine): Promise<Planned | undefined> {
  const { weight, layout } = linear;
  const scaled = await scaleWeight(weight, layout, 'in', affine.scale);
  if (affine.shift.every((shift) => shift === 0)) return await planned(linear, scaled, undefined);
  const before = await linear.bias.read();
  const added = await shiftThrough(weight, layout, affine.shift);
  const bias = added.map((sum, i) => (before?.[i] ?? 0) + linear.alpha * sum);
  return await planned(linear, scaled, bias);
}

async function planned(
  linear: Linear,
  weight: Tensor,
  bias: Float64Array | undefined,
): Promise<Planned | undefined> {
  const vector = bias && Tensor.of(weight.dataType, [bias.length], bias);
  for (const tensor of [weight, vector]) {
    if (tensor && !(await floatArray(tensor)).every(Number.isFinite)) return undefined;
  }
  return () => {
    setConstantInput(linear.node, linear.weightIndex, weight);
    if (vector) linear.bias.write(vector);
  };
}

/** Why the shift of `affine` would not be exact before this operator. */
export function whyNotBefore(linear: Linear, affine: Affine): string | undefined {
  if (!linear.uneven || affine.shift.every((shift) => shift === 0)) return undefined;
  return `${linear.node.label} ${linear.uneven}, so a shift before it is no bias after it`;
}

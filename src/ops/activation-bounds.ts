/**
 * Numbers that an activation does not go beyond: where its outputs crowd at one, it is saturated.
 * Source: the formulas of the ONNX operator specification.
 */
import type { Node } from '../graph/node.js';

export type Bounds = readonly [low: number, high: number];

const unit: Bounds = Object.freeze([0, 1] as const);
const symmetric: Bounds = Object.freeze([-1, 1] as const);
const infinite = Number.POSITIVE_INFINITY;

/** By operator; a bound that is not there is infinite. */
const table: Readonly<Record<string, (node: Node) => Bounds | Promise<Bounds>>> = Object.freeze({
  Sigmoid: () => unit,
  HardSigmoid: () => unit,
  Softmax: () => unit,
  Tanh: () => symmetric,
  Softsign: () => symmetric,
  Erf: () => symmetric,
  async Clip(node: Node): Promise<Bounds> {
    // Attributes before opset 11, inputs since.
    const bound = async (index: number, attribute: 'min' | 'max', open: number) =>
      node.inputs[index]
        ? ((await node.constantInput(index)?.numbers())?.[0] ?? open)
        : node.float(attribute, open);
    return [await bound(1, 'min', -infinite), await bound(2, 'max', infinite)];
  },
});

/** Bounds of what the node gives; undefined where pare knows of none. */
export async function activationBounds(node: Node): Promise<Bounds | undefined> {
  return Object.hasOwn(table, node.op) ? await table[node.op]!(node) : undefined;
}

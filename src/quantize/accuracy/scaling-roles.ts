/**
 * Which operators let a positive factor per channel pass: f(s x) = s f(x), channel by channel.
 * Through them the channels of one layer can be rescaled and the next layer take it back.
 * Says nothing about linear operators, which end such a path (simplify/linear-operators.ts).
 */
import type { Node } from '../../graph/node.js';
import { smallNumbers } from '../../simplify/known.js';

/** Bounds of a clip; infinite where it has none. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

export type ScalingRole =
  /** Each channel of the output is made of the same channel of input 0. */
  | { readonly kind: 'through' }
  /** As 'through', and only an activation: the value before it is never seen. */
  | { readonly kind: 'activation' }
  /** All inputs must be scaled alike, and the output is. */
  | { readonly kind: 'tie' }
  /** Lets the factor pass while no bound is reached; undefined where the bounds are computed. */
  | { readonly kind: 'clip'; bounds(node: Node): Promise<Bounds | undefined> }
  /** Changes the shape: fits where axis 1 stays and all axes behind it have length 1. */
  | { readonly kind: 'reshape' };

const through: ScalingRole = Object.freeze({ kind: 'through' });
const activation: ScalingRole = Object.freeze({ kind: 'activation' });
const tie: ScalingRole = Object.freeze({ kind: 'tie' });
const reshape: ScalingRole = Object.freeze({ kind: 'reshape' });

/** By operator; what is not listed stops the path. */
export const scalingRoles: Readonly<Record<string, ScalingRole>> = Object.freeze({
  Relu: activation,
  LeakyRelu: activation,
  // Its slopes are per channel or shared; they are factors and stay as they are.
  PRelu: activation,
  Clip: { kind: 'clip', bounds: clipBounds },
  Identity: through,
  AveragePool: through,
  GlobalAveragePool: through,
  GlobalMaxPool: through,
  MaxPool: through,
  Add: tie,
  Sub: tie,
  Sum: tie,
  Max: tie,
  Min: tie,
  Flatten: reshape,
  Reshape: reshape,
  Squeeze: reshape,
});

/** Attributes before opset 11, inputs since. */
async function clipBounds(node: Node): Promise<Bounds | undefined> {
  const read = async (index: number, attribute: string, unbounded: number) => {
    if (node.has(attribute)) return node.float(attribute);
    if (!node.inputs[index]) return unbounded;
    const tensor = node.constantInput(index);
    return tensor && (await smallNumbers(tensor))?.[0];
  };
  const low = await read(1, 'min', Number.NEGATIVE_INFINITY);
  const high = await read(2, 'max', Number.POSITIVE_INFINITY);
  return low === undefined || high === undefined ? undefined : { low, high };
}

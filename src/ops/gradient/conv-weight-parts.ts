/** What the recipes of conv-weight.ts share: the parts of a convolution, and the product of one tap. */
import type { Value } from '../../graph/value.js';
import type { GradientEmitter } from './rule.js';
import { spatialAxes, type Window } from './window.js';

export interface ConvWeightParts {
  /** [N, C, ...spatial], and the gradient of the output [N, M, ...]. */
  readonly x: Value;
  readonly dy: Value;
  /** Values of the same shapes whose dims are known, as far as any are. */
  readonly xShape: Value;
  readonly dyShape: Value;
  /** Dims of the weight: [M, C / group, ...kernel]. */
  readonly weight: readonly number[];
  readonly group: number;
  readonly window: Window;
}

/** The spatial dims where all are fixed. */
export function fixedPlane(value: Value, window: Window): number[] | undefined {
  const dims = spatialAxes(window).map((axis) => value.dims?.[axis]);
  return dims.every((dim) => typeof dim === 'number') ? (dims as number[]) : undefined;
}

/** Σ over samples and places of dY and what one position of the kernel meets: [M, C / group]. */
export function tapProduct(g: GradientEmitter, parts: ConvWeightParts, seen: Value): Value {
  const { dy, weight, group } = parts;
  const [outputs, channels] = weight as [number, number];
  if (group > 1 && channels === 1 && outputs === group) {
    if (!isOneSample(parts)) {
      const axes = [0, ...spatialAxes(parts.window)];
      return g.reduce('ReduceSum', g.mul(seen, dy), axes, false);
    }
    // A row times a column per channel: a third of the time of a product and its sum.
    const row = (value: Value) => g.reshape(value, [group, 1, -1]);
    return g.op('MatMul', [row(seen), g.transposeLast(row(dy), 3)]);
  }
  const shape = (count: number) => (group === 1 ? [0, count, -1] : [0, group, count / group, -1]);
  const left = g.reshape(dy, shape(outputs));
  const right = g.reshape(seen, shape(channels * group));
  const product = g.op('MatMul', [left, g.transposeLast(right, group === 1 ? 3 : 4)]);
  // Of one sample nothing is left to sum.
  return isOneSample(parts)
    ? g.reshape(product, [outputs, channels])
    : g.reduce('ReduceSum', product, [0], false);
}

/** Whether there is one sample, or, in maps with the batch last, all lie in one. */
export function isOneSample({ dyShape }: Pick<ConvWeightParts, 'dyShape'>): boolean {
  return dyShape.dims?.[0] === 1;
}

/** Most columns, and most rows, of a joined product. */
export const widestJoint = 128;

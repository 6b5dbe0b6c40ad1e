/**
 * Options of the float16 scheme.
 */
import * as z from 'zod/mini';

/** The largest finite float16. */
export const largestHalf = 65504;
/** The smallest positive float16 (subnormal); smaller magnitudes round to it or to zero. */
export const smallestHalf = 2 ** -24;

export const float16Options = z.object({
  /** Only nodes that match: names, wildcards, op:Type. Default all. */
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** 'storage': half the file, computed in float32. 'compute': float16 kernels, float32 at the borders. */
  mode: z._default(z.enum(['storage', 'compute']), 'storage'),
  /** Storage: smaller tensors stay float32, the Cast would weigh as much. */
  minElements: z._default(z.number().check(z.minimum(0)), 256),
  /** Compute: nodes whose values exceed this magnitude on samples stay float32. */
  maxMagnitude: z._default(z.number().check(z.positive(), z.maximum(largestHalf)), 32752),
});

export type Float16Options = z.output<typeof float16Options>;

/** Why weights cannot be float16, undefined when they can. */
export function rangeProblem(weights: Float32Array): string | undefined {
  let over = 0;
  let peak = 0;
  let lost = 0;
  for (const weight of weights) {
    const magnitude = Math.abs(weight);
    if (!(magnitude <= largestHalf)) over++;
    if (magnitude > peak) peak = magnitude;
    if (magnitude > 0 && magnitude < smallestHalf / 2) lost++;
  }
  if (over > 0)
    return `${over} of its weights are beyond float16 (largest ${peak.toExponential(2)})`;
  // A tensor that loses many small values is one whose scale does not fit, not one with noise.
  if (lost > weights.length / 100) return `${lost} of its weights vanish in float16`;
  return undefined;
}

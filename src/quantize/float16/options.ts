/**
 * Options of the float16 scheme.
 */
import * as z from 'zod/mini';
import { float16ToFloat32, float32ToFloat16 } from '../../onnx/float16.js';

/** The largest finite float16. */
export const largestHalf = 65504;

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

/**
 * float16 rounds to one part in 2048; a tensor that loses this much lies below its range. The
 * usual epsilon of normalizations, 1e-6, loses 1.3% there, which no output notices.
 */
const largestLoss = 1 / 32;

/** Why weights cannot be float16, undefined when they can. */
export function rangeProblem(weights: Float32Array): string | undefined {
  const halves = float16ToFloat32(float32ToFloat16(weights));
  let over = 0;
  let bad = 0;
  let peak = 0;
  let energy = 0;
  let lost = 0;
  for (const [i, weight] of weights.entries()) {
    const magnitude = Math.abs(weight);
    if (Number.isNaN(magnitude)) bad++;
    else if (magnitude > largestHalf) over++;
    if (magnitude > peak) peak = magnitude;
    energy += weight * weight;
    lost += (weight - halves[i]!) ** 2;
  }
  if (bad > 0) return `${bad} of its weights are NaN`;
  if (over > 0) {
    const numbers = `largest ${peak.toExponential(2)}, limit ${largestHalf}`;
    return `${over} of its weights are beyond float16 (${numbers})`;
  }
  // Judged as a whole: single weights that vanish beside large ones are noise.
  const loss = energy > 0 ? Math.sqrt(lost / energy) : 0;
  if (loss <= largestLoss) return undefined;
  const percent = (100 * loss).toFixed(1);
  return `its weights are too small for float16 (largest ${peak.toExponential(2)}, ${percent}% is lost)`;
}

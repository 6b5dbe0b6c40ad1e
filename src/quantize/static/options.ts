/**
 * Options of the static scheme.
 */
import * as z from 'zod/mini';
import { calibratorNames } from '../calibrate/calibrators.js';

const rangeOverride = z
  .object({ min: z.number(), max: z.number() })
  .check(z.refine(({ min, max }) => min <= max, 'a range has min below max'));

export const staticOptions = z.object({
  /** Only nodes that match: names, wildcards, op:Type. Default all. */
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** How the range of an activation is found from samples. */
  calibrator: z._default(z.enum(calibratorNames), 'percentile'),
  /** percentile: share of the elements inside the range, in percent. */
  percentile: z._default(z.number().check(z.gt(50), z.lte(100)), 99.999),
  /** Integers of activations. 8 bits reach integer kernels; 16 bits are computed in float. */
  activations: z._default(z.enum(['uint8', 'int8', 'uint16', 'int16']), 'uint8'),
  /** Zero in the middle of the activations' integers. */
  symmetric: z._default(z.boolean(), false),
  /** One weight scale per output channel. */
  perChannel: z._default(z.boolean(), true),
  /** Weights in 7 bits, for x64 CPUs without VNNI, whose 16-bit sums saturate. */
  reduceRange: z._default(z.boolean(), false),
  /**
   * MatMul by a constant: activations quantized in every run where the outputs bear it, or by
   * calibrated ranges like Conv, or not at all.
   */
  matMul: z._default(z.enum(['dynamic', 'static', 'float']), 'dynamic'),
  /** Float where integers would be slower, by estimate for the target; or integers everywhere. */
  placement: z._default(z.enum(['fast', 'all']), 'fast'),
  /** Take the shift that rounding and clipping cause out of the biases; needs one more pass. */
  biasCorrection: z._default(z.boolean(), true),
  /** Read the runtime's own graph back, and report what did not become an integer kernel. */
  checkFusion: z._default(z.boolean(), true),
  /** A node that was meant for an integer kernel and missed it is an error, not a remark. */
  strict: z._default(z.boolean(), false),
  /** Ranges by value name, in place of the calibrated ones; values that share a scale follow. */
  ranges: z._default(z.record(z.string(), rangeOverride), {}),
});

export type StaticOptions = z.output<typeof staticOptions>;

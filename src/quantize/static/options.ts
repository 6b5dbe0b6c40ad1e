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
  /** MatMul by static integers too; dynamic ones are as fast and more accurate. */
  matMul: z._default(z.boolean(), false),
  /**
   * Take the shift that rounding and clipping cause out of the biases. fast: each layer for its own
   * error, one more pass over the samples. full: each layer again with all earlier ones quantized,
   * one pass for every layer on the longest path. true is fast, false is off.
   */
  biasCorrection: z._default(z.union([z.enum(['off', 'fast', 'full']), z.boolean()]), 'fast'),
  /** Read the runtime's own graph back, and report what did not become an integer kernel. */
  checkFusion: z._default(z.boolean(), true),
  /** A node that was meant for an integer kernel and missed it is an error, not a remark. */
  strict: z._default(z.boolean(), false),
  /** Ranges by value name, in place of the calibrated ones; values that share a scale follow. */
  ranges: z._default(z.record(z.string(), rangeOverride), {}),
});

export type StaticOptions = z.output<typeof staticOptions>;

/**
 * Options of the static scheme.
 */
import * as z from 'zod/mini';
import { PareError } from '../../errors.js';
import { dataTypes } from '../../onnx/data-type.js';
import { hasIntegerKernel } from '../../ops/integer-kernels.js';
import { calibratorNames } from '../calibrate/calibrators.js';
import { blockSizes, integerWeightTypes, staticFormats } from '../names.js';
import { activationTypes, overridesSchema, percentileSchema } from './override-schema.js';

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
  percentile: z._default(percentileSchema, 99.999),
  /** Integers of activations. 8 bits reach integer kernels; 16 bits are computed in float. */
  activations: z._default(z.enum(activationTypes), 'uint8'),
  /** Nodes whose activations get 16 bits: in place of float, for nodes that 8 bits hurt. */
  wide: z._default(z.array(z.string()), []),
  /** Zero in the middle of the activations' integers. */
  symmetric: z._default(z.boolean(), false),
  /** Integers of weights. 8 bits reach integer kernels; others are dequantized in every run. */
  weights: z._default(z.enum(integerWeightTypes), 'int8'),
  /** Zero in the middle of the weights' integers; default for signed ones. */
  weightSymmetric: z.optional(z.boolean()),
  /** Gemm and MatMul: one scale per so many weights along a sum, computed in float. */
  blockSize: z.optional(z.literal(blockSizes)),
  /** Pairs of QuantizeLinear and DequantizeLinear, or operators on integers. */
  format: z._default(z.enum(staticFormats), 'qdq'),
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
  /** Exceptions for single values and weights. */
  overrides: z._default(overridesSchema, {}),
});

export type StaticOptions = z.output<typeof staticOptions>;

/** @throws PareError `usage` where two options exclude each other */
export function checkStatic(options: StaticOptions): void {
  const { weights, activations, blockSize, format, perChannel, reduceRange } = options;
  const refuse = (message: string, hint: string) => {
    throw new PareError('usage', `static: ${message}`, { hint });
  };
  const { bits } = dataTypes[weights];
  if (reduceRange && bits !== 8) {
    refuse(
      `reduceRange is for integer kernels, ${weights} weights have none`,
      'leave reduceRange out',
    );
  }
  if (blockSize !== undefined && bits > 8) {
    refuse(`${weights} weights are fine enough without blocks`, 'leave blockSize out');
  }
  if (blockSize !== undefined && !perChannel) {
    refuse('one scale per tensor and blocks exclude each other', 'leave out one of the two');
  }
  if (format !== 'qoperator') return;
  if (blockSize !== undefined) {
    refuse('no operator on integers takes weights in blocks', 'use format qdq');
  }
  if (!hasIntegerKernel(activations, weights)) {
    refuse(
      `no operator on integers takes ${weights} weights beside ${activations} activations`,
      'use format qdq, or uint8 activations with int8 or uint8 weights',
    );
  }
}

/** The first opset with the nodes that these options make. */
export function opsetOf({ activations, weights, blockSize }: StaticOptions): number {
  // Per-channel DequantizeLinear came with opset 13; integers of 4 and 16 bits and blocks with 21.
  const wide = dataTypes[activations].bits > 8 || dataTypes[weights].bits !== 8;
  return wide || blockSize !== undefined ? 21 : 13;
}

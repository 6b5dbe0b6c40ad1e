/**
 * Options of the weight-only scheme, and which of them go together.
 */
import * as z from 'zod/mini';
import { PareError } from '../../errors.js';
import { dataTypes } from '../../onnx/data-type.js';
import { blockSizes, type WeightType, weightForms, weightTypes } from '../names.js';
import { isSymmetric } from '../weight-types.js';

export const weightOnlyOptions = z.object({
  /** Only nodes that match: names, wildcards, op:Type. Default all. */
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** What weights are stored as. */
  weights: z._default(z.enum(weightTypes), 'int8'),
  /** Zero in the middle of the integers; default for signed ones. */
  weightSymmetric: z.optional(z.boolean()),
  /** One scale per so many weights of a MatMul or Gemm, in place of one per channel. */
  blockSize: z.optional(z.literal(blockSizes)),
  /** How the runtime gets at the weights; see the header of weight-only.ts. */
  form: z._default(z.enum(weightForms), 'dequantize'),
  perChannel: z._default(z.boolean(), true),
  /** Smaller weights stay float: their scales and nodes would weigh as much. */
  minElements: z._default(z.number().check(z.minimum(0)), 1024),
  embeddings: z._default(z.boolean(), true),
});

export type WeightOnlyOptions = z.output<typeof weightOnlyOptions>;

/** @throws PareError `usage` where two options exclude each other */
export function checkWeightOnly(options: WeightOnlyOptions): void {
  const { weights, form, blockSize, weightSymmetric, perChannel } = options;
  const refuse = (message: string, hint: string) => {
    throw new PareError('usage', `weight-only: ${message}`, { hint });
  };
  if (form === 'nbits' && !nBitsTypes.has(weights)) {
    refuse(
      `form nbits holds 4 and 8 bits, not ${weights}`,
      `use form dequantize, or weights ${[...nBitsTypes].join(', ')}`,
    );
  }
  if (blockSize !== undefined && form === 'cast') {
    refuse(
      `blocks of ${blockSize} need a DequantizeLinear, form cast has one factor per channel`,
      'use form dequantize or nbits',
    );
  }
  if (blockSize !== undefined && !perChannel) {
    refuse('one scale per tensor and blocks exclude each other', 'leave out one of the two');
  }
  if (dataTypes[weights].kind !== 'float') return;
  if (blockSize !== undefined) {
    refuse(`${weights} has no use for blocks`, 'its steps grow with the weights by themselves');
  }
  if (weightSymmetric === false) {
    refuse(`${weights} has no zero point`, 'leave weightSymmetric out');
  }
}

const nBitsTypes: ReadonlySet<WeightType> = new Set<WeightType>(['int4', 'uint4', 'int8', 'uint8']);

/** How a weight is stored, but for its axes. */
export function formatOf({ weights, weightSymmetric }: WeightOnlyOptions): {
  readonly dataType: WeightType;
  readonly symmetric: boolean;
} {
  return { dataType: weights, symmetric: isSymmetric(weights, weightSymmetric) };
}

/**
 * The first opset with the nodes of a form. DequantizeLinear has an axis from 13 on, float8 came
 * with 19, 4 and 16 bits and blocks with 21; Cast and Mul are what they are from 7 on.
 */
export function opsetOf({ weights, form, blockSize }: WeightOnlyOptions): number {
  const { bits, kind } = dataTypes[weights];
  if (form === 'nbits') return 7;
  if (kind === 'float') return 19;
  if (bits < 8) return 21;
  if (form === 'cast') return 7;
  return bits > 8 || blockSize !== undefined ? 21 : 13;
}

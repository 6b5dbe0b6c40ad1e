/**
 * What the options of quantization can be chosen from, by name. Imports nothing: the help of the
 * command line reads it.
 */

/** The integers that weights can be stored in. */
export const integerWeightTypes = Object.freeze([
  'int8',
  'uint8',
  'int4',
  'uint4',
  'int16',
  'uint16',
] as const);
export type IntegerWeightType = (typeof integerWeightTypes)[number];

/** Everything that weights can be stored in. */
export const weightTypes = Object.freeze([...integerWeightTypes, 'float8e4m3fn'] as const);
export type WeightType = (typeof weightTypes)[number];

/** How the weight-only scheme lets the runtime get at the weights. */
export const weightForms = Object.freeze(['dequantize', 'cast', 'nbits'] as const);

/** Blocks that integer kernels take: powers of two. */
export const blockSizes = Object.freeze([16, 32, 64, 128, 256] as const);

/** How the static scheme writes integers. */
export const staticFormats = Object.freeze(['qdq', 'qoperator'] as const);

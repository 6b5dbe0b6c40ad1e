/**
 * Options of pare finetune --qat: those with which pare quantize --scheme static makes the same
 * file, under the same names.
 */
import * as z from 'zod/mini';
import { integerWeightTypes } from '../quantize/names.js';
import { schemeFields } from './commands/quantize.js';
import { fieldInfo } from './schema-info.js';

const keys = [
  'activations',
  'include',
  'exclude',
  'perChannel',
  'reduceRange',
  'calibrator',
  'percentile',
  'wide',
  'weightSymmetric',
  'blockSize',
  'symmetric',
  'biasCorrection',
  'overrides',
  'matMul',
  'placement',
] as const satisfies readonly (keyof typeof schemeFields)[];

type QatFields = Pick<typeof schemeFields, (typeof keys)[number]>;

/** Float8 has no integers to learn. */
const weights = z.optional(
  z.enum(integerWeightTypes).check(z.meta({ description: '--qat: integers of weights' })),
);

/** "static: how ranges are found" is "--qat: how ranges are found" here. */
export const qatFields = {
  weights,
  ...(Object.fromEntries(
    keys.map((key) => {
      const field: z.ZodMiniType = schemeFields[key];
      const text = fieldInfo(field).meta.description?.replace(/^static[^:]*: /, '');
      return [key, field.check(z.meta({ description: `--qat: ${text}` }))];
    }),
  ) as unknown as QatFields),
};

/**
 * What may be said of single values and weights of a static model, as a schema: it is data for the
 * options, the command line and its documentation, and knows no model.
 */
import * as z from 'zod/mini';
import { calibratorNames } from '../calibrate/calibrators.js';

/** Integers of activations. */
export const activationTypes = ['uint8', 'int8', 'uint16', 'int16'] as const;

export const percentileSchema = z.number().check(z.gt(50), z.lte(100));

/** What may be said of one activation or weight, in place of the options for all. */
export const overrideSchema = z
  .strictObject({
    /** Activations: the range, in place of the calibrated one. */
    min: z.optional(z.number()),
    max: z.optional(z.number()),
    /** Activations: scale and zero point themselves. */
    scale: z.optional(z.number().check(z.gte(2 ** -126), z.lt(2 ** 128))),
    zeroPoint: z.optional(z.int()),
    /** Activations: their integers. */
    dataType: z.optional(z.enum(activationTypes)),
    /** Zero in the middle. */
    symmetric: z.optional(z.boolean()),
    /** Activations: how the range is found. */
    calibrator: z.optional(z.enum(calibratorNames)),
    percentile: z.optional(percentileSchema),
    /** Weights: one scale per output channel. */
    perChannel: z.optional(z.boolean()),
  })
  .check(
    z.refine(
      ({ min, max }) => (min === undefined) === (max === undefined),
      'min and max go together',
    ),
    z.refine(({ min, max }) => !(min! > max!), 'a range has min below max'),
    z.refine(
      ({ scale, zeroPoint }) => (scale === undefined) === (zeroPoint === undefined),
      'scale and zeroPoint go together',
    ),
    z.refine(
      ({ min, scale, calibrator }) =>
        [min, scale, calibrator].filter((each) => each !== undefined).length <= 1,
      'only one of a range, a scale and a calibrator can hold',
    ),
    z.refine(
      ({ scale, symmetric }) => scale === undefined || symmetric === undefined,
      'a zeroPoint says already whether it is symmetric',
    ),
  );

/** By the name of a value, or a wildcard; 'float' keeps the nodes around an activation in float. */
export const overridesSchema = z.record(z.string(), z.union([z.literal('float'), overrideSchema]));

export type Override = z.output<typeof overrideSchema>;

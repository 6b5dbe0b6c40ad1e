/**
 * pare calibration: shows what a calibration table holds, and pins ranges in it. The table is the
 * data, so it goes to stdout.
 */
import * as z from 'zod/mini';
import { calibratorNames } from '../../quantize/calibrate/calibrators.js';
import { activationTypes } from '../../quantize/static/override-schema.js';
import { defineCommand } from '../command.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const calibrationOptions = z.object({
  calibrator: z.optional(
    z.enum(calibratorNames).check(meta('how ranges are chosen (default: as when it was made)')),
  ),
  percentile: z.optional(
    z
      .number()
      .check(
        z.gt(50),
        z.lte(100),
        meta('percentile: share inside the range, in percent', { placeholder: 'N' }),
      ),
  ),
  activations: z._default(z.enum(activationTypes).check(meta('integers of activations')), 'uint8'),
  symmetric: z._default(z.boolean().check(meta('zero in the middle of the integers')), false),
  set: z._default(
    z.array(z.string().check(meta('pin ranges by value name', { placeholder: 'NAME=MIN,MAX' }))),
    [],
  ),
  output: z.optional(
    z.string().check(meta('write the table with --set in it', { short: 'o', placeholder: 'FILE' })),
  ),
});

export const calibrationCommand = defineCommand({
  name: 'calibration',
  summary: 'show what calibration found of every value, and pin ranges',
  description:
    'Reads a table that pare quantize --save-calibration wrote. Shows of every value its extremes, the range that the calibrator chooses with its scale and zero point, the share of the elements that it clips, and their distribution on a logarithmic scale. Values that share a scale in the model get the union of their ranges.',
  arguments: [{ name: 'file', description: 'the calibration table' }],
  options: calibrationOptions,
  examples: [
    { command: 'calibration net.calibration.json --calibrator mse', text: 'what mse would choose' },
    {
      command: "calibration net.calibration.json --set 'relu1=0,6' -o pinned.json",
      text: 'one range by hand; use it with pare quantize --calibration pinned.json',
    },
  ],
  run: async (context) => (await import('../run/calibration.js')).run(context),
});

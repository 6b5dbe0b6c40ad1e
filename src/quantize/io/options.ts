/**
 * Options of the passes that make a model take and give integers.
 */
import * as z from 'zod/mini';
import { preprocessSchema } from '../../data/preprocess.js';

const { scale, mean, std, colorOrder, layout } = preprocessSchema.shape;
const described = <Schema extends z.ZodMiniType>(schema: Schema, description: string): Schema =>
  schema.check(z.meta({ description }));

const rawType = z.enum(['uint8', 'int8']);

export const quantizeInputOptions = z.object({
  input: described(
    z.optional(z.string()),
    'Name of the float input. Default: the only one, or the only one of four dims',
  ),
  dataType: described(z._default(rawType, 'uint8'), 'Type of the tensor to feed'),
  layout: described(
    layout,
    'Layout of the tensor to feed, NCHW or NHWC. Default: that of the float input',
  ),
  scale: described(scale, 'Factor on the raw values, as in the preprocessing that is folded'),
  mean: described(mean, 'Subtracted after scaling: one number, or one per channel in RGB order'),
  std: described(std, 'Divides last: one number, or one per channel in RGB order'),
  colorOrder: described(
    colorOrder,
    'Channels as the model wants them and as they are to be fed: RGB, BGR or gray',
  ),
  border: described(
    z._default(z.enum(['exact', 'nearest', 'float']), 'exact'),
    'Where the first layer pads and channels differ: exact (one more constant channel), nearest (the border differs, with a measured error), float (nothing is folded: Mul and Add in front)',
  ),
  samples: described(
    z._default(z.int().check(z.gte(0)), 16),
    'Samples on which the outputs are compared with those of the float input; 0 for none',
  ),
});

export type QuantizeInputOptions = z.output<typeof quantizeInputOptions>;

export const quantizeOutputOptions = z.object({
  outputs: described(
    z._default(z.array(z.string()), []),
    'Names of float outputs. Default: all of them',
  ),
  dataType: described(z._default(rawType, 'uint8'), 'Type of the output'),
});

export type QuantizeOutputOptions = z.output<typeof quantizeOutputOptions>;

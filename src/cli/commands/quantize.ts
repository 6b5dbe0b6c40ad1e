/**
 * pare quantize: one scheme, applied.
 */
import * as z from 'zod/mini';
import { calibratorNames } from '../../quantize/calibrate/calibrators.js';
import { blockSizes, staticFormats, weightForms, weightTypes } from '../../quantize/names.js';
import { activationTypes, overridesSchema } from '../../quantize/static/override-schema.js';
import { defineCommand } from '../command.js';
import { borderFields, dataFields, promiseFields, reportField } from '../fields.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

/** Options of the schemes. Each is given to a scheme that has it, and refused with the others. */
export const schemeFields = {
  include: z.optional(
    z.array(z.string()).check(meta('only these nodes: names, wildcards (*), op:Type')),
  ),
  exclude: z.optional(
    z.array(z.string()).check(meta('all but these nodes: names, wildcards (*), op:Type')),
  ),
  perChannel: z.optional(z.boolean().check(meta('one scale per output channel (the default)'))),
  minElements: z.optional(
    z.int().check(z.minimum(0), meta('leave smaller weights in float', { placeholder: 'N' })),
  ),
  embeddings: z.optional(z.boolean().check(meta('quantize embedding tables (the default)'))),
  conv: z.optional(z.boolean().check(meta('dynamic: convolutions as ConvInteger too'))),
  reduceRange: z.optional(
    z.boolean().check(meta('static, dynamic: 7-bit weights, for x64 CPUs without VNNI')),
  ),
  calibrator: z.optional(
    z.enum(calibratorNames).check(meta('static: how ranges are found from samples')),
  ),
  percentile: z.optional(
    z.number().check(meta('static: share inside the range, in percent', { placeholder: 'N' })),
  ),
  activations: z.optional(z.enum(activationTypes).check(meta('static: integers of activations'))),
  wide: z.optional(
    z
      .array(z.string())
      .check(meta('static: nodes whose activations get 16 bits: names, wildcards, op:Type')),
  ),
  weights: z.optional(
    z
      .enum(weightTypes)
      .check(meta('static, weight-only: what weights are stored as (static: integers only)')),
  ),
  weightSymmetric: z.optional(
    z
      .boolean()
      .check(
        meta("static, weight-only: zero in the middle of the weights' integers (default: signed)"),
      ),
  ),
  blockSize: z.optional(
    z.literal(blockSizes).check(
      meta('static, weight-only: one scale per so many weights of MatMul and Gemm', {
        placeholder: 'N',
      }),
    ),
  ),
  format: z.optional(
    z.enum(staticFormats).check(meta('static: pairs that runtimes join, or operators on integers')),
  ),
  symmetric: z.optional(z.boolean().check(meta('static: zero in the middle of the integers'))),
  biasCorrection: z.optional(
    z
      .enum(['full', 'fast', 'off'])
      .check(meta('static: take the mean error out of biases; full: layer after layer, slow')),
  ),
  overrides: z.optional(
    overridesSchema.check(
      meta('static: exceptions by value or weight name, as JSON or in the config file', {
        placeholder: 'JSON',
      }),
    ),
  ),
  strict: z.optional(z.boolean().check(meta('static: fail when a node misses its integer kernel'))),
  matMul: z.optional(
    z.enum(['dynamic', 'static', 'float']).check(meta('static: what becomes of MatMul')),
  ),
  placement: z.optional(
    z.enum(['fast', 'all']).check(meta('static: float where that is faster, or integers in all')),
  ),
  form: z.optional(
    z
      .enum(weightForms)
      .check(meta('weight-only: DequantizeLinear; Cast and Mul that fold at load; MatMulNBits')),
  ),
  mode: z.optional(
    z.enum(['storage', 'compute']).check(meta('float16: only stored so, or computed in it too')),
  ),
  maxMagnitude: z.optional(
    z
      .number()
      .check(meta('float16 compute: nodes with larger values stay float32', { placeholder: 'N' })),
  ),
};

const keepField = (description: string) =>
  z.optional(
    z
      .union([z.literal('auto'), z.int().check(z.minimum(0))])
      .check(meta(description, { placeholder: 'auto|N' })),
  );

export const quantizeOptions = z.object({
  scheme: z.enum(['static', 'dynamic', 'weight-only', 'float16']).check(meta('how to quantize')),
  ...dataFields,
  ...borderFields,
  ...schemeFields,
  equalize: z._default(
    z
      .boolean()
      .check(meta('static: bring the channels of each value to one range first; outputs stay')),
    false,
  ),
  smoothQuant: z._default(
    z
      .boolean()
      .check(meta('static, dynamic: move large channels into the weights of MatMul and Gemm')),
    false,
  ),
  weightScales: z._default(
    z
      .boolean()
      .check(meta('static, weight-only: clip weights where finer steps for the others pay')),
    false,
  ),
  learnedRounding: z._default(
    z
      .boolean()
      .check(meta('static, weight-only: round weights so that layer outputs change least; slow')),
    false,
  ),
  calibration: z.optional(
    z.string().check(
      meta('static: a calibration table in place of samples; without --data no bias correction', {
        placeholder: 'FILE',
      }),
    ),
  ),
  saveCalibration: z.optional(
    z.string().check(
      meta('static: write what the samples showed of every value, for --calibration', {
        placeholder: 'FILE',
      }),
    ),
  ),
  keepFloat: keepField(
    'leave in float: the N worst nodes, or auto, the fewest that keep the limits',
  ),
  keepWide: keepField('static: the same with 16-bit activations in place of float'),
  ...promiseFields,
  report: reportField,
  sensitivity: z.optional(
    z.string().check(
      meta('measure the damage of every node and what leaving some in float buys; slow', {
        placeholder: 'FILE',
      }),
    ),
  ),
  simplify: z._default(
    z.boolean().check(meta('simplify first, so that weights are found and norms are folded')),
    true,
  ),
  output: z.optional(
    z.string().check(
      meta('the file to write (default: MODEL.SCHEME.onnx)', {
        short: 'o',
        placeholder: 'FILE',
      }),
    ),
  ),
});

export const quantizeCommand = defineCommand({
  name: 'quantize',
  summary: 'apply one quantization scheme and report every node that it left alone',
  description:
    'With --data the result is evaluated against the original on it. To have the scheme chosen and verified, use pare optimize.',
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: quantizeOptions,
  examples: [
    {
      command: 'quantize net.onnx --scheme static --data photos --preprocess imagenet',
      text: 'integer kernels for convolutions, ranges from 100 samples',
    },
    {
      command: 'quantize bert.onnx --scheme dynamic',
      text: 'int8 weights and activations, no data',
    },
    {
      command: 'quantize net.onnx --scheme weight-only --form cast',
      text: 'a quarter of the size',
    },
    {
      command: 'quantize llm.onnx --scheme weight-only --weights int4 --block-size 32',
      text: '4-bit weights, one scale per 32 of them',
    },
    {
      command: 'quantize net.onnx --scheme static --data photos --keep-float auto --max-flips 1%',
      text: 'as few nodes in float as the promise needs',
    },
    {
      command: "quantize net.onnx --scheme dynamic --exclude '/head/*'",
      text: 'the head in float',
    },
  ],
  run: async (context) => (await import('../run/quantize.js')).run(context),
});

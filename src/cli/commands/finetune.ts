/**
 * pare finetune: trains a model that was pruned or changed until it is as good as before.
 */
import * as z from 'zod/mini';
import { finetuneOptions } from '../../train/finetune-options.js';
import { defineCommand } from '../command.js';
import { dataFields, reportField } from '../fields.js';
import { qatFields } from '../qat-fields.js';
import type { OptionMeta } from '../schema-info.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

type Fields = typeof finetuneOptions.shape;

/** What help says of the options of training; an option without a text does not compile. */
const texts: Readonly<Record<keyof Fields, OptionMeta>> = {
  epochs: { description: 'how often every sample is seen' },
  batchSize: { description: 'samples at once' },
  accumulate: { description: 'batches whose gradients make one step, with the memory of one' },
  loss: {
    description: 'what is made small; auto: distillation with a teacher, else cross-entropy',
    placeholder: 'NAME',
  },
  labelShare: { description: 'share of the labels in the loss beside the teacher', unit: 'share' },
  temperature: { description: 'distillation: softens teacher and student alike' },
  features: {
    description: 'nodes whose values are learned from the teacher too: names, *, op:Type',
    placeholder: 'PATTERN',
  },
  featureWeight: { description: 'features: their weight beside the loss, all together' },
  labelSmoothing: { description: 'cross-entropy: spread over all classes', unit: 'share' },
  schedule: { description: 'how the rate falls after the warm-up', placeholder: 'NAME' },
  learningRate: { description: 'highest learning rate, see --relative' },
  warmup: { description: 'share of all steps in which the rate rises', unit: 'share' },
  finalShare: {
    description: 'linear, cosine: last rate as a share of the highest',
    unit: 'share',
  },
  milestones: { description: 'step: shares of all steps after which the rate falls' },
  stepFactor: { description: 'step: factor at each milestone' },
  optimizer: { description: 'how weights follow their gradients' },
  relative: {
    description:
      'adam, adamw, muon: the rate is a share of the magnitude of each weight (the default)',
  },
  momentum: { description: 'sgd, muon: share of the last direction that is kept' },
  nesterov: { description: 'sgd, muon: look ahead by the momentum (the default)' },
  weightDecay: { description: 'pull towards zero, for weights of two dims and more' },
  beta1: { description: 'adam, adamw, muon for vectors: decay of the mean of gradients' },
  beta2: { description: 'adam, adamw, muon for vectors: decay of the mean of their squares' },
  epsilon: { description: 'adam, adamw, muon for vectors: added to the root of the mean square' },
  flip: { description: 'mirror half of the pictures left and right' },
  shift: { description: 'shift pictures by up to so many pixels' },
  shiftAlong: { description: 'shift: which way; of sounds only time may move' },
  layout: { description: 'flip, shift, cutmix: where the channels of a picture are' },
  mixup: {
    description: 'share of samples that another one is mixed into',
    unit: 'share',
  },
  cutmix: {
    description: 'share of pictures that a part of another one is pasted into',
    unit: 'share',
  },
  sparsity: { description: 'share of weights that leave while it trains', unit: 'share' },
  sparsityCriterion: {
    description:
      'sparsity: what leaves first, small weights or those that the loss misses least (the default with all optimizers but sgd)',
  },
  sparsityScope: { description: 'sparsity: what is compared' },
  sparsityUntil: {
    description: 'sparsity: share of the steps after which the last ones leave',
    unit: 'share',
  },
  dense: {
    description: 'sparsity: nodes whose weights stay whole: names, wildcards (*), op:Type',
    placeholder: 'PATTERN',
  },
  freeze: {
    description: 'nodes whose parameters stay: names, wildcards (*), op:Type',
    placeholder: 'PATTERN',
  },
  lora: {
    description: 'train adapters of this rank instead of the weights, and merge them in the end',
    placeholder: 'RANK',
  },
  loraAlpha: { description: 'lora: adapters count this number / RANK (default: RANK)' },
  loraTargets: {
    description: 'lora: nodes whose weights get adapters (default: all that can)',
    placeholder: 'PATTERN',
  },
  clipNorm: { description: 'largest norm of all gradients together' },
  averaging: { description: 'decay of the mean of the weights that is kept in the end' },
  batchNormalization: {
    description: 'by the statistics of the model, or of each batch',
  },
  scaleRate: {
    description: 'quantized students: factor on the rate for scales; 0 keeps them',
  },
  patience: { description: 'stop after so many epochs that are worse than the best' },
};

/** Options of finetune; `lr` stands for `learningRate`. */
const { learningRate: lr, ...trainingFields } = Object.fromEntries(
  Object.entries(finetuneOptions.shape).map(([key, field]) => [
    key,
    (field as z.ZodMiniType).check(z.meta({ ...texts[key as keyof Fields] })),
  ]),
) as unknown as Fields;

/** Names of the options of training, as flags have them. */
export const trainingKeys = Object.keys(trainingFields) as readonly (keyof typeof trainingFields)[];

export const finetuneCommandOptions = z.object({
  teacher: z.optional(
    z.string().check(
      meta('the model that the student was made of, whose outputs it learns', {
        placeholder: 'ORIGINAL',
      }),
    ),
  ),
  data: dataFields.data,
  preprocess: dataFields.preprocess,
  report: reportField,
  samples: z.optional(
    z.int().check(z.minimum(1), meta('train on at most so many samples', { placeholder: 'N' })),
  ),
  lr,
  ...trainingFields,
  qat: z._default(
    z
      .boolean()
      .check(meta('quantize the student as --scheme static does, and train it in integers')),
    false,
  ),
  ...qatFields,
  resume: z._default(
    z.boolean().check(meta('go on where an interrupted run of the same call stopped')),
    false,
  ),
  checkpointEvery: z._default(
    z
      .int()
      .check(
        z.minimum(1),
        meta('steps between two checkpoints within an epoch', { placeholder: 'N' }),
      ),
    100,
  ),
  output: z.optional(
    z.string().check(
      meta('the file to write (default: STUDENT.tuned.onnx)', {
        short: 'o',
        placeholder: 'FILE',
      }),
    ),
  ),
});

export const finetuneCommand = defineCommand({
  name: 'finetune',
  summary: 'train a pruned or changed model until it is as good as before',
  description:
    'Learns from the outputs of the original (--teacher), from labels, or from both. The samples are split: most train, some choose the best epoch, and others, which neither has seen, evaluate the result. Zeros of a pruned model stay. A checkpoint beside the output lets an interrupted run go on with --resume, to the same bits.',
  arguments: [{ name: 'student', description: 'the ONNX file to train' }],
  options: finetuneCommandOptions,
  examples: [
    {
      command:
        'finetune small.onnx --teacher net.onnx --data photos --preprocess imagenet -o tuned.onnx',
      text: 'learn from what the original says; no labels are needed',
    },
    {
      command: 'finetune small.onnx --data photos --preprocess imagenet --loss cross-entropy',
      text: 'learn from labels alone',
    },
    {
      command:
        'finetune small.onnx --teacher net.onnx --data photos --label-share 30% --flip --shift 4 --resume',
      text: 'both, with pictures mirrored and shifted; goes on after Ctrl-C',
    },
    {
      command:
        'finetune net.onnx --teacher net.onnx --qat --weights int4 --data photos --preprocess imagenet',
      text: 'quantization-aware: 4-bit weights that learn what rounding does to them',
    },
  ],
  run: async (context) => (await import('../run/finetune.js')).run(context),
});

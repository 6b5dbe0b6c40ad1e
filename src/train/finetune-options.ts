/** Settings of fine-tuning: what is learned from, for how long, and how. */
import * as z from 'zod/mini';
import { augmentOptions } from './augment.js';
import { gradualOptions } from './gradual-options.js';
import { mixtureOptions } from './mixtures.js';
import { optimizerOptions } from './optimizers/options.js';
import { scheduleOptions } from './schedule.js';

/** 'auto': distillation where there is a teacher, else cross-entropy with the labels. */
export const finetuneLossNames = [
  'auto',
  'distillation',
  'cross-entropy',
  'mse',
  'l1',
  'cosine',
] as const;

export const finetuneOptions = z.object({
  epochs: z._default(z.int().check(z.positive()), 10),
  batchSize: z._default(z.int().check(z.positive()), 32),
  /** Batches whose gradients make one step, with the memory of one batch. */
  accumulate: z._default(z.int().check(z.positive()), 1),
  loss: z._default(z.enum(finetuneLossNames), 'auto'),
  /** Share of the labels in the loss beside the teacher, where there are labels. In [0, 1]. */
  labelShare: z._default(z.number().check(z.gte(0), z.lte(1)), 0),
  /** Softens teacher and student alike. */
  temperature: z._default(z.number().check(z.positive()), 2),
  /** Nodes whose values the student learns from the teacher too: names, wildcards, `op:Relu`. */
  features: z._default(z.array(z.string()), () => []),
  /** Weight of all features together beside the loss; 1 for each is as bad as zeros. */
  featureWeight: z._default(z.number().check(z.positive()), 1),
  labelSmoothing: z._default(z.number().check(z.gte(0), z.lt(1)), 0),
  ...scheduleOptions.shape,
  ...optimizerOptions.shape,
  ...augmentOptions.shape,
  ...mixtureOptions.shape,
  ...gradualOptions.shape,
  /** Nodes whose parameters stay: names, wildcards, `op:Gather`. */
  freeze: z._default(z.array(z.string()), () => []),
  /** Rank of adapters that are trained instead of the weights, and merged into them in the end. */
  lora: z.optional(z.int().check(z.positive())),
  /** Their product counts this number divided by the rank. Default the rank. */
  loraAlpha: z.optional(z.number().check(z.positive())),
  /** Nodes whose weights get adapters; default every MatMul and Gemm that can have one. */
  loraTargets: z._default(z.array(z.string()), () => []),
  /** Largest norm of all gradients together. */
  clipNorm: z.optional(z.number().check(z.positive())),
  /** Decay of the running mean of the weights that is kept in the end; 0 keeps the last ones. */
  averaging: z._default(z.number().check(z.gte(0), z.lt(1)), 0),
  /** Normalization by the statistics of the model, or by those of each batch. */
  batchNormalization: z._default(z.enum(['frozen', 'training']), 'frozen'),
  /** Quantized students: factor on the learning rate for scales, whose steps are shares; 0 keeps them. */
  scaleRate: z._default(z.number().check(z.gte(0)), 1),
  /** Epochs with a lower validation score than the best after which it stops. */
  patience: z.optional(z.int().check(z.positive())),
});

export type FinetuneOptions = z.output<typeof finetuneOptions>;

/**
 * pare prune: one method of pruning, applied.
 */
import * as z from 'zod/mini';
import { pruneMethodNames } from '../../prune/method-names.js';
import { defineCommand } from '../command.js';
import { dataFields, reportField } from '../fields.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

/** Options of the methods. Each is given to a method that has it, and refused with the others. */
export const methodFields = {
  sparsity: z.optional(
    z.number().check(meta('unstructured: share of weights that become zero', { unit: 'share' })),
  ),
  pattern: z.optional(
    z.string().check(
      meta('unstructured: unstructured, N:M such as 2:4 (2 of 4 stay), or blocks such as 4x1', {
        placeholder: 'PATTERN',
      }),
    ),
  ),
  macs: z.optional(
    z.number().check(meta('structured: share of the MACs to take out', { unit: 'share' })),
  ),
  params: z.optional(
    z.number().check(meta('structured: share of the parameters to take out', { unit: 'share' })),
  ),
  sizeBytes: z.optional(
    z.number().check(meta('structured: largest file', { unit: 'bytes', placeholder: 'SIZE' })),
  ),
  ratio: z.optional(
    z.number().check(
      meta('share that leaves: structured: of channels and heads, depth: of blocks', {
        unit: 'share',
      }),
    ),
  ),
  blocks: z.optional(
    z.int().check(meta('depth: how many blocks leave, in place of --ratio', { placeholder: 'N' })),
  ),
  criterion: z.optional(
    z
      .string()
      .check(
        meta(
          'what leaves first; unstructured: magnitude, wanda, sparsegpt, random; structured: l1, l2, lamp, fpgm, bn-scale, activation, apoz, wanda, taylor, hessian, random, or auto: the one that is the most faithful on this model; depth: influence, removal',
          { placeholder: 'NAME' },
        ),
      ),
  ),
  scope: z.optional(
    z.string().check(
      meta(
        'what is compared; unstructured: global, layer, row; structured: global, per-layer, isomorphic, global-per-mac',
        {
          placeholder: 'NAME',
        },
      ),
    ),
  ),
  unit: z.optional(
    z.enum(['layer', 'branch']).check(meta('depth: repeated layers, or single branches')),
  ),
  damping: z.optional(
    z.number().check(meta('sparsegpt: share of the mean of the diagonal that is added to it')),
  ),
  maxFeatures: z.optional(
    z
      .int()
      .check(meta('sparsegpt: leave layers with more inputs per output', { placeholder: 'N' })),
  ),
  recompute: z.optional(
    z.boolean().check(meta('wanda, sparsegpt: see inputs behind the masks before (the default)')),
  ),
  reduction: z.optional(
    z.string().check(
      meta('structured: scores of a unit become one: mean, sum, max, first, prod', {
        placeholder: 'NAME',
      }),
    ),
  ),
  normalizer: z.optional(
    z.string().check(
      meta('structured: how widths compare: mean, none, sum, max, standardize, lamp', {
        placeholder: 'NAME',
      }),
    ),
  ),
  largestShare: z.optional(
    z
      .number()
      .check(meta('structured: most of one width that may leave (default 80%)', { unit: 'share' })),
  ),
  align: z.optional(
    z.int().check(
      meta('structured: keep channels in multiples of it (default 16 in Node, 4 elsewhere)', {
        placeholder: 'N',
      }),
    ),
  ),
  continued: z.optional(
    z
      .boolean()
      .check(meta('structured: go on with the last cut: shares are of the model before it')),
  ),
  split: z.optional(
    z
      .enum(['auto', 'heads', 'head-dim'])
      .check(meta('structured: what leaves of attention: whole heads, or places inside of them')),
  ),
  norms: z.optional(
    z
      .enum(['none', 'exact', 'all'])
      .check(meta('structured: widths under a normalization: none, those made exact, or all')),
  ),
  proof: z.optional(
    z.boolean().check(meta('structured: compare the cut with the zeroed model (the default)')),
  ),
  refit: z.optional(
    z.boolean().check(meta('structured: refit layers behind the cut on the data (the default)')),
  ),
  statistics: z.optional(
    z.boolean().check(meta('structured: bring mean and spread of layers back (the default)')),
  ),
  ridge: z.optional(
    z.number().check(meta('structured: weight of the penalty of the refit', { placeholder: 'N' })),
  ),
  include: z.optional(
    z.array(z.string()).check(meta('only these nodes: names, wildcards (*), op:Type')),
  ),
  exclude: z.optional(
    z.array(z.string()).check(meta('all but these nodes: names, wildcards (*), op:Type')),
  ),
};

export const pruneOptions = z.object({
  method: z.enum(pruneMethodNames).check(meta('what leaves: single weights, whole blocks ...')),
  ...methodFields,
  ...dataFields,
  report: reportField,
  simplify: z._default(
    z.boolean().check(meta('simplify first, so that weights are found and norms are folded')),
    true,
  ),
  compress: z._default(
    z.boolean().check(meta('write the file as .gz and .br too: what zeros make smaller')),
    false,
  ),
  output: z.optional(
    z.string().check(
      meta('the file to write (default: MODEL.METHOD.onnx)', {
        short: 'o',
        placeholder: 'FILE',
      }),
    ),
  ),
});

export const pruneCommand = defineCommand({
  name: 'prune',
  summary: 'take weights, channels or whole blocks out, and report what stayed and why',
  description:
    'With --data the result is evaluated against the original on samples that the method has not seen. Zeros (unstructured) make compressed files smaller and nothing faster; removed channels and heads (structured) and blocks (depth) make both.',
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: pruneOptions,
  examples: [
    {
      command: 'prune net.onnx --method unstructured --sparsity 80% --compress',
      text: 'four of five weights to zero, by magnitude; .onnx.gz and .onnx.br beside it',
    },
    {
      command:
        'prune llm.onnx --method unstructured --pattern 2:4 --criterion sparsegpt --data texts.jsonl --preprocess raw',
      text: '2 of 4 weights stay, and make up for the others',
    },
    {
      command: 'prune resnet.onnx --method structured --macs 30% --data photos --dry-run',
      text: 'the plan for 30 % fewer MACs: every width before and after, and what freezes the rest',
    },
    {
      command: 'prune vit.onnx --method depth --ratio 25% --data photos --preprocess imagenet',
      text: 'a quarter of the layers less',
    },
  ],
  run: async (context) => (await import('../run/prune.js')).run(context),
});

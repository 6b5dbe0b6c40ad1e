/**
 * pare optimize: the main job on the command line.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';
import { borderFields, dataFields, promiseFields, reportField, targetField } from '../fields.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const optimizeOptions = z.object({
  ...dataFields,
  ...borderFields,
  target: targetField,
  for: z._default(
    z.enum(['latency', 'size', 'balanced']).check(meta('what the best candidate is best at')),
    'balanced',
  ),
  ...promiseFields,
  prune: z.optional(
    z.number().check(
      z.gt(0),
      z.lt(1),
      meta('try candidates with this much less to compute: channels, heads and neurons leave', {
        unit: 'share',
      }),
    ),
  ),
  criterion: z.optional(
    z
      .string()
      .check(
        meta(
          'with --prune: what leaves first: wanda (the default), taylor, hessian, l1, l2, lamp, fpgm, bn-scale, activation, apoz, random',
          { placeholder: 'NAME' },
        ),
      ),
  ),
  finetune: z._default(
    z.boolean().check(meta('with --prune: train what was cut on the outputs of the original')),
    false,
  ),
  epochs: z.optional(
    z.int().check(
      z.positive(),
      meta('with --finetune: how often every sample is seen, in all rounds (default: 10)', {
        placeholder: 'N',
      }),
    ),
  ),
  rounds: z.optional(
    z.int().check(
      z.positive(),
      meta(
        'with --finetune: make the cut in so many parts, with training behind each (default: 1)',
        {
          placeholder: 'N',
        },
      ),
    ),
  ),
  reduceRange: z.optional(
    z
      .boolean()
      .check(
        meta(
          'weights of integer kernels in 7 bits, so that the file is right on x64 CPUs without VNNI too (default: where this machine has none)',
        ),
      ),
  ),
  report: reportField,
  output: z.optional(
    z
      .string()
      .check(
        meta('the file to write (default: MODEL.opt.onnx)', { short: 'o', placeholder: 'FILE' }),
      ),
  ),
});

export const optimizeCommand = defineCommand({
  name: 'optimize',
  summary: 'find the smallest and fastest form of a model that keeps its accuracy, measured',
  description:
    'Makes the candidates that can pay on the target, measures size, latency, memory and accuracy of each on the runtime itself, and writes the best one that keeps the promise, with a receipt beside it (OUT.json). When nothing helps it writes nothing and exits with 5; when only the accuracy stands in the way, with 4. Times on one thread unless --threads says otherwise. Without a limit the promise is half a point of accuracy, without labels 1 % of predictions, and 30 dB where the model predicts no classes.',
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: optimizeOptions,
  examples: [
    {
      command: 'optimize resnet.onnx --data photos --preprocess imagenet --max-drop 0.5',
      text: 'at most half a point of top-1 lost',
    },
    {
      command: 'optimize bert.onnx --data tokens.jsonl --max-flips 1% --for latency',
      text: 'without labels: 1 % of predictions may change',
    },
    {
      command: 'optimize resnet.onnx --data photos --preprocess imagenet --prune 30%',
      text: 'candidates with 30 % fewer MACs too',
    },
    {
      command:
        'optimize resnet.onnx --data photos --preprocess imagenet --prune 50% --finetune --epochs 5',
      text: 'half of the MACs, trained behind the cut on samples that do not evaluate',
    },
    {
      command:
        'optimize resnet.onnx --data photos --preprocess imagenet --prune 70% --criterion taylor --finetune --epochs 20 --rounds 4',
      text: 'in four rounds of pruning and five epochs of training',
    },
  ],
  run: async (context) => (await import('../run/optimize.js')).run(context),
});

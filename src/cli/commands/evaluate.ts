/**
 * pare evaluate: accuracy of one model, or of several beside the first.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';
import { dataFields, reportField, targetField } from '../fields.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const evaluateOptions = z.object({
  ...dataFields,
  target: targetField,
  report: reportField,
  task: z.optional(
    z
      .enum(['classification', 'tokens', 'generic'])
      .check(meta('what is scored (default: found out)')),
  ),
  output: z.optional(z.string().check(meta('the output that is scored', { placeholder: 'NAME' }))),
  batchSize: z._default(
    z
      .int()
      .check(
        z.minimum(1),
        meta('samples per run, where the model allows it', { placeholder: 'N' }),
      ),
    1,
  ),
});

export const evaluateCommand = defineCommand({
  name: 'evaluate',
  summary: 'measure accuracy on data, and agreement with the first model',
  description:
    'Top-1, top-5 and flips for classifiers, perplexity for token models, signal-to-noise ratio for everything. Labels are optional: without them the first model is what the others are held against.',
  arguments: [{ name: 'models', description: 'ONNX files, the reference first', variadic: true }],
  options: evaluateOptions,
  examples: [
    { command: 'evaluate net.onnx --data photos --preprocess imagenet', text: 'accuracy' },
    { command: 'evaluate net.onnx net.opt.onnx --data photos', text: 'before and after' },
  ],
  run: async (context) => (await import('../run/evaluate.js')).run(context),
});

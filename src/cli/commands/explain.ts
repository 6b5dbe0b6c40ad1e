/**
 * pare explain: which neurons and connections matter, and which score of them tells the truth.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';
import { dataFields, reportField } from '../fields.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });
const count = (description: string, least = 1) =>
  z.optional(z.int().check(z.minimum(least), meta(description, { placeholder: 'N' })));

export const explainCommandOptions = z.object({
  ...dataFields,
  labels: z._default(
    z
      .boolean()
      .check(meta('use the labels of the data; without, what the model predicts stands for them')),
    true,
  ),
  curveSamples: count('samples of the deletion curves, none of them scored (default 250)'),
  pathSamples: count('samples of conductance and internal influence (default 32)'),
  steps: count('cells of the path from zero to a sample (default 16)'),
  seeds: count('random orders of the deletion curves (default 5)', 2),
  inputs: count('samples whose inputs are attributed (default 2)', 0),
  outputs: z.optional(
    z
      .array(z.string())
      .check(meta('classes or tokens to follow paths to', { placeholder: 'NUMBER' })),
  ),
  batchSize: count('samples per run (default 32)'),
  ablation: z._default(
    z
      .boolean()
      .check(meta('replace every unit by its mean, one by one: exact, and the longest part')),
    true,
  ),
  faithfulness: z._default(
    z.boolean().check(meta('measure deletion curves: which score is true of this model')),
    true,
  ),
  vocabulary: z.optional(
    z
      .string()
      .check(
        meta(
          'text of the tokens: a JSON list, ids by token, or a tokenizer.json (default: a tokenizer.json or vocab.json beside the model)',
          { placeholder: 'FILE' },
        ),
      ),
  ),
  report: reportField,
  output: z.optional(
    z
      .string()
      .check(meta('a file for the whole explanation as JSON', { short: 'o', placeholder: 'FILE' })),
  ),
});

export const explainCommand = defineCommand({
  name: 'explain',
  summary: 'show which neurons, channels, heads and connections matter, and how sure that is',
  description:
    'Scores every unit of every layer in several ways, from the norm of its weights to what really happens without it, shows the samples that excite it and the classes it serves, and measures which of the scores is true of this model.',
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: explainCommandOptions,
  examples: [
    {
      command: 'explain resnet.onnx --data photos --preprocess imagenet --samples 200',
      text: 'the layers, the scores and what they are worth',
    },
    {
      command: 'explain net.onnx --data test.npz --no-ablation -o net.explanation.json',
      text: 'faster, and everything in a file',
    },
  ],
  run: async (context) => (await import('../run/explain.js')).run(context),
});

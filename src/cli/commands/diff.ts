/**
 * pare diff: what changed from one model to another. Like `diff`, its report is its result and
 * goes to stdout.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';
import { dataFields, reportField } from '../fields.js';

const flag = (description: string) => z._default(z.boolean().check(z.describe(description)), false);

export const diffOptions = z.object({
  ...dataFields,
  dims: z._default(
    z.array(
      z
        .string()
        .check(z.meta({ description: 'sizes of open dims of the inputs', placeholder: 'NAME=N' })),
    ),
    [],
  ),
  outputs: z._default(
    z.boolean().check(z.describe('do not run the models to compare their outputs')),
    true,
  ),
  latency: flag('also profile both models and compare the times of their operators'),
  report: reportField,
  text: flag('a line diff of the models in textual form instead of the report'),
  weights: z._default(
    z.enum(['none', 'short', 'full']).check(z.describe('how much of the weights --text compares')),
    'short',
  ),
  rows: z._default(
    z.int().check(z.minimum(1), z.describe('most rows of each list; --json has all')),
    20,
  ),
  exitCode: flag('exit with 1 when the models differ'),
});

export const diffCommand = defineCommand({
  name: 'diff',
  summary: 'compare two models: interface, nodes, weights, outputs',
  description:
    'Tells what changed from A to B: changes that break callers first, then the head of the file, nodes, weights with the error of each (int8 weights are compared by the numbers they stand for), bytes by operator, every value between input and output with the first one that differs, and the outputs of both on the same inputs: those of --data, or four random ones.',
  arguments: [
    { name: 'a', description: 'the ONNX file to compare with' },
    { name: 'b', description: 'the ONNX file that is compared' },
  ],
  options: diffOptions,
  examples: [
    { command: 'diff resnet.onnx resnet.opt.onnx', text: 'on random inputs' },
    {
      command: 'diff a.onnx b.onnx --data photos --preprocess imagenet --samples 100',
      text: 'outputs on real inputs',
    },
    { command: 'diff a.onnx b.onnx --text', text: 'line by line, as diff -u' },
    { command: 'diff a.onnx b.onnx --exit-code --quiet', text: 'for scripts' },
  ],
  run: async (context) => (await import('../run/diff.js')).run(context),
});

/**
 * pare inspect: what a model is, what its bytes are for, and what can be done with it. The report
 * is the data, so it goes to stdout.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';

const flag = (description: string) => z._default(z.boolean().check(z.describe(description)), false);

export const inspectOptions = z.object({
  format: z._default(
    z
      .enum(['summary', 'text', 'json'])
      .check(z.describe('a report, the model in the textual form of ONNX, or the report as JSON')),
    'summary',
  ),
  nodes: flag('also list every node with its shapes'),
  tensors: flag('also list every constant'),
  check: flag('also read all weights and look for what is broken or wasteful'),
  weights: z._default(
    z
      .enum(['none', 'short', 'full'])
      .check(z.describe('how much of the weights --format text shows')),
    'short',
  ),
  dims: z._default(
    z.array(
      z
        .string()
        .check(z.meta({ description: 'sizes of open dims of the inputs', placeholder: 'NAME=N' })),
    ),
    [],
  ),
  shapes: z._default(
    z.boolean().check(z.describe('no shapes and MACs: does not start the runtime')),
    true,
  ),
  schemes: z._default(
    z.boolean().check(z.describe('do not try what simplification and quantization would do')),
    true,
  ),
});

export const inspectCommand = defineCommand({
  name: 'inspect',
  summary: 'show what is in a model and what pare can do with it',
  description:
    'Prints interface, operators, bytes by role and type, the state of quantization, what each scheme would change and why not more, and the commands worth trying next. --format text prints the model itself, one node a line, for diff and grep.',
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: inspectOptions,
  examples: [
    { command: 'inspect resnet.onnx', text: 'the report' },
    { command: 'inspect resnet.onnx --check', text: 'NaN weights, dead parts, wrong types' },
    { command: 'inspect resnet.onnx --format text > resnet.txt', text: 'the model as text' },
    { command: 'inspect bert.onnx --dims seq=128 --json', text: 'MACs at a length, as JSON' },
  ],
  run: async (context) => (await import('../run/inspect.js')).run(context),
});

/**
 * pare inspect: what a model is, what its bytes are for, and what can be done with it. The report
 * is the data, so it goes to stdout.
 */
import * as z from 'zod/mini';
import { PareError } from '../../errors.js';
import { defineCommand } from '../command.js';
import { toJson } from '../output.js';

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
  async run({ args, options, globals, cwd, signal, output }) {
    const { usingEngine, usingModels } = await import('../open.js');
    await usingModels([args.model], cwd, async ([opened]) => {
      const { model, files } = opened!;
      if (options.format === 'text' && !output.isJson) {
        const { printModel } = await import('../../graph/print.js');
        output.stdout(await printModel(model, { weights: options.weights }));
        return;
      }
      const { stat } = await import('node:fs/promises');
      const { inspectModel } = await import('../../measure/inspect.js');
      const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
      const settings = {
        // What the user typed reads better than an absolute path, in commands to copy most of all.
        file: args.model,
        dims: parseDims(options.dims),
        fileBytes: sizes.reduce((a, b) => a + b, 0),
        nodes: options.nodes,
        tensors: options.tensors,
        check: options.check,
        ...(!options.schemes && { tryBytes: 0 }),
        signal,
      };
      const inspection = options.shapes
        ? await usingEngine('node', globals, (engine) =>
            inspectModel(model, { ...settings, engine }),
          )
        : await inspectModel(model, settings);
      if (options.format === 'json') output.stdout(toJson({ schema: 1, ...inspection }));
      output.json(inspection);
      if (options.format !== 'summary') return;
      const { inspectionText } = await import('../../report/inspection-text.js');
      const { style, width } = output.stdoutTerminal;
      output.stdout(inspectionText(inspection, { style, width }));
    });
  },
});

/** 'seq=128' as { seq: 128 }, 'image=1x3x224x224' as all dims of an input. Throws `usage`. */
export function parseDims(texts: readonly string[]): Record<string, number | number[]> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, sizes] = /^(.+)=(\d+(?:x\d+)*)$/.exec(text) ?? [];
      if (name === undefined || sizes === undefined) {
        throw new PareError('usage', `--dims: expected NAME=N or INPUT=NxNxN, got "${text}"`);
      }
      const numbers = sizes.split('x').map(Number);
      return [name, sizes.includes('x') ? numbers : numbers[0]!];
    }),
  );
}

/**
 * What pare inspect does: reads the model and prints the report, or the model as text.
 */
import type * as z from 'zod/mini';
import type { CommandContext } from '../command.js';
import type { inspectOptions } from '../commands/inspect.js';
import { usingEngine, usingModels } from '../open.js';
import { toJson } from '../output.js';
import { parseDims } from '../parse-dims.js';

type Context = CommandContext<z.output<typeof inspectOptions>, { readonly model: string }>;

export async function run({ args, options, globals, cwd, signal, output }: Context): Promise<void> {
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
      ? await usingEngine('node', globals, (engine) => inspectModel(model, { ...settings, engine }))
      : await inspectModel(model, settings);
    if (options.format === 'json') output.stdout(toJson({ schema: 1, ...inspection }));
    output.json(inspection);
    if (options.format !== 'summary') return;
    const { inspectionText } = await import('../../report/inspection-text.js');
    const { style, width } = output.stdoutTerminal;
    output.stdout(inspectionText(inspection, { style, width }));
  });
}

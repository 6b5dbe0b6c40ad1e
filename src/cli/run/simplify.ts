/**
 * What pare simplify does: applies the rewrites, reports them, writes the model.
 */
import { resolve } from 'node:path';
import type * as z from 'zod/mini';
import { checkTargets } from '../../disk/check-targets.js';
import { saveModel } from '../../node.js';
import { formatInteger } from '../../report/format.js';
import { passReportText } from '../../report/pass-report.js';
import { simplify } from '../../simplify/index.js';
import type { CommandContext } from '../command.js';
import type { simplifyOptions } from '../commands/simplify.js';
import { tableSettings, usingEngine, usingModels } from '../open.js';

type Context = CommandContext<z.output<typeof simplifyOptions>, { readonly model: string }>;

export async function run({
  args,
  options,
  globals,
  cwd,
  signal,
  progress,
  output,
}: Context): Promise<void> {
  const { output: given, ...rewrites } = options;
  const target = resolve(cwd, given ?? args.model.replace(/(\.onnx)?$/, '.simple.onnx'));
  await usingModels([args.model], cwd, ([opened]) =>
    usingEngine('node', globals, async (engine) => {
      const { model, files } = opened!;
      const write = { force: globals.force, inputs: files, signal };
      await checkTargets([target], write);
      const result = await simplify(model, rewrites, { engine, signal, progress });
      const { report } = result;
      output.human(
        `${formatInteger(report.nodesBefore)} nodes before, ${formatInteger(report.nodesAfter)} after.`,
      );
      output.human(
        passReportText(
          report.passes.filter(({ changed }) => changed.length > 0),
          tableSettings(output),
        ),
      );
      const written = globals.dryRun ? [] : await saveModel(result.model, target, write);
      output.human(globals.dryRun ? `Would write ${target}.` : `Wrote ${target}.`);
      output.json({ command: 'simplify', model: args.model, written, report });
    }),
  );
}

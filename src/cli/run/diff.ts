/**
 * What pare diff does: compares the models and prints the report, which is its result.
 */
import { basename } from 'node:path';
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import { checkTargets } from '../../disk/check-targets.js';
import type { Feeds, PortInfo } from '../../engine/engine.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { ModelDiff } from '../../measure/diff.js';
import type { CommandContext } from '../command.js';
import type { diffOptions } from '../commands/diff.js';
import { ExitCode } from '../exit-codes.js';
import { chosenIndices, portsOf, usingData, usingEngine, usingModels } from '../open.js';
import { parseDims } from '../parse-dims.js';
import { reportTargets, writeReport } from '../report-file.js';

type Context = CommandContext<
  z.output<typeof diffOptions>,
  { readonly a: string; readonly b: string }
>;

export async function run(context: Context): Promise<ExitCode> {
  const { args, options, globals, cwd, signal, output } = context;
  checkReportOptions(options);
  await checkTargets(reportTargets(options, cwd), { force: globals.force });
  const [nameA, nameB] = [args.a, args.b];
  const dims = parseDims(options.dims);
  return usingModels([nameA, nameB], cwd, async ([openA, openB]) => {
    const [a, b] = [openA!.model, openB!.model];
    if (options.text && !output.isJson) {
      const { printModel } = await import('../../graph/print.js');
      const { unifiedDiff } = await import('../../report/line-diff.js');
      const { weights } = options;
      const [textA, textB] = [await printModel(a, { weights }), await printModel(b, { weights })];
      const text = unifiedDiff(textA, textB, { names: [nameA, nameB] });
      if (text !== '') output.stdout(text);
      return exitCode(text !== '');
    }
    const { diffModels } = await import('../../measure/diff.js');
    const { latency } = options;
    const settings = { dims, seed: globals.seed, signal, latency };
    const diff = !options.outputs
      ? await diffModels(a, b, settings)
      : await usingEngine('node', globals, async (engine) => {
          if (options.data === undefined) {
            const samples = options.samples ?? 4;
            return diffModels(a, b, { ...settings, engine, samples });
          }
          const { modelSource } = await import('../../engine/model-source.js');
          const ports = await portsOf(engine, { name: nameA, source: await modelSource(a) });
          return usingData(options, ports, cwd, (dataset) => {
            const indices = chosenIndices(dataset, options.samples, globals.seed);
            const feeds = (wanted: readonly PortInfo[]) => feedsOf(dataset, wanted, indices);
            return diffModels(a, b, { ...settings, engine, feeds });
          });
        });
    if (options.report !== undefined) await reportOn(a, b, diff);
    output.json({ a: nameA, b: nameB, ...diff });
    if (!globals.quiet) output.stdout(await reportOf(diff));
    return exitCode(!diff.equal);
  });

  async function reportOn(a: Model, b: Model, diff: ModelDiff): Promise<void> {
    const outcome = diff.equal
      ? 'The models are equal.'
      : 'What changed from the first to the second.';
    // Names head columns: no paths.
    const [shortA, shortB] = [basename(nameA), basename(nameB)];
    const models = [
      { name: shortA === shortB ? 'a' : shortA, file: nameA, model: a },
      { name: shortA === shortB ? 'b' : shortB, file: nameB, model: b },
    ];
    await usingEngine('node', globals, async (engine) => {
      const job = { command: 'diff', models, outcome, engine, known: { diff } };
      if (options.data === undefined) return writeReport(context, job);
      const { modelSource } = await import('../../engine/model-source.js');
      const ports = await portsOf(engine, { name: nameA, source: await modelSource(a) });
      return usingData(options, ports, cwd, (dataset) => {
        const indices = chosenIndices(dataset, options.samples, globals.seed);
        return writeReport(context, { ...job, dataset, indices });
      });
    });
  }

  async function reportOf(diff: ModelDiff): Promise<string> {
    const { diffText } = await import('../../report/diff-text.js');
    const { style, width } = output.stdoutTerminal;
    return diffText(diff, [nameA, nameB], { style, width, rows: options.rows });
  }

  function exitCode(differs: boolean): ExitCode {
    return options.exitCode && differs ? ExitCode.unexpected : ExitCode.ok;
  }
}

/** Throws `usage` for a report without what it is made of. */
function checkReportOptions({ report, text, outputs }: Context['options']): void {
  if (report === undefined || (!text && outputs)) return;
  throw new PareError(
    'usage',
    `diff: --report has no place beside ${text ? '--text' : '--no-outputs'}`,
    {
      hint: 'the report runs both models',
    },
  );
}

async function* feedsOf(
  dataset: Dataset,
  ports: readonly PortInfo[],
  indices: Uint32Array,
): AsyncGenerator<Feeds> {
  const { batches } = await import('../../data/batches.js');
  for await (const { feeds } of batches(dataset, ports, { batchSize: 1, indices })) yield feeds;
}

/**
 * What pare prune does: applies the method, reports it, evaluates it where there are data, and
 * writes the model.
 */
import { resolve } from 'node:path';
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import { labelsOf, repeatableFeeds } from '../../data/repeatable-feeds.js';
import { checkTargets } from '../../disk/check-targets.js';
import { compressed, compressedPaths, writtenBrotliQuality } from '../../disk/compressed.js';
import { type WriteOptions, writeFilesAtomic } from '../../disk/write-file.js';
import type { Engine } from '../../engine/engine.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import { type CriterionChoice, chooseCriterion } from '../../explain/choose-criterion.js';
import type { Model } from '../../graph/model.js';
import { type SizeReport, sizeOf } from '../../measure/size.js';
import { brotliCounter, modelFiles } from '../../node.js';
import { bordersAs } from '../../optimize/measuring.js';
import { type Recipe, runRecipe } from '../../optimize/recipe.js';
import type { PassContext, PassReport } from '../../pass.js';
import { pruneMethods } from '../../prune/index.js';
import type { PruneMethodName } from '../../prune/method-names.js';
import type { PlanDetails } from '../../prune/plan-details.js';
import { structuredOptions } from '../../prune/structured-options.js';
import { criterionChoiceText } from '../../report/criterion-choice-text.js';
import { formatBytes } from '../../report/format.js';
import { passReportText } from '../../report/pass-report.js';
import { prunePlanText } from '../../report/prune-plan.js';
import { type TableOptions, table } from '../../report/table.js';
import { calibrationSplit } from '../calibration-split.js';
import type { CommandContext } from '../command.js';
import { methodFields, type pruneOptions } from '../commands/prune.js';
import {
  inputFiles,
  portsOf,
  refuseDataOptions,
  requireData,
  tableSettings,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';
import { ownOptions } from '../own-options.js';
import { reportTargets, watchPredictions, writeReport } from '../report-file.js';
import { showQuality, showSpeed } from '../show-measurements.js';

type Context = CommandContext<z.output<typeof pruneOptions>, { readonly model: string }>;

/** Options of simplify: shared tensors make widths hang together that need not. */
const preparation: Readonly<Record<PruneMethodName, Readonly<Record<string, unknown>>>> = {
  unstructured: {},
  structured: { unshare: true },
  depth: {},
};

export async function run(context: Context): Promise<void> {
  const { args, options, globals, cwd, signal } = context;
  const { method } = options;
  const target = resolve(
    cwd,
    options.output ?? args.model.replace(/(\.onnx)?$/, `.${method}.onnx`),
  );
  const pass = pruneMethods[method];
  const isAuto = options.criterion === autoCriterion;
  if (isAuto && method !== 'structured') {
    throw new PareError('usage', `prune: ${method} has no criterion "${autoCriterion}"`, {
      hint: 'it is for --method structured',
    });
  }
  if (isAuto) requireData(options);
  const given = isAuto ? { ...options, criterion: undefined } : options;
  const own = ownOptions('prune', method, pass.options, methodFields, given);
  const recipe: Recipe = [
    ...(options.simplify ? [{ pass: 'simplify', options: preparation[method] }] : []),
    { pass: pass.name, options: own },
  ];
  refuseDataOptions(options);
  await usingModels([args.model], cwd, ([opened]) =>
    usingEngine('node', globals, async (engine) => {
      const { model, files } = opened!;
      const write = { force: globals.force, inputs: inputFiles(files, options, cwd), signal };
      const targets = options.compress ? [target, ...compressedPaths(target)] : [target];
      await checkTargets([...targets, ...reportTargets(options, cwd)], write);
      const job = { context, engine, model, recipe, target, write };
      if (options.data === undefined) return prune(job, undefined);
      const ports = await portsOf(engine, { name: 'original', source: await modelSource(model) });
      return usingData(options, ports, cwd, (dataset) => prune(job, dataset));
    }),
  );
}

/** Stands for the criterion that is found to be the most faithful on the model. */
const autoCriterion = 'auto';

interface Job {
  readonly context: Context;
  readonly engine: Engine;
  readonly model: Model;
  readonly recipe: Recipe;
  readonly target: string;
  readonly write: WriteOptions;
}

async function prune(job: Job, dataset: Dataset | undefined): Promise<void> {
  const { context, engine, model, recipe, target, write } = job;
  const { args, options, globals, signal, progress, output } = context;
  const { seed } = globals;
  for (const note of dataset?.notes ?? []) output.warn(note);
  const original = { name: 'original', source: await modelSource(model), ...bordersAs(model) };
  const split = dataset && calibrationSplit(dataset, options.samples, seed);
  const samples: PassContext['samples'] =
    dataset && repeatableFeeds(dataset, await portsOf(engine, original), split!.calibrate);
  const labels = dataset?.hasLabels ? labelsOf(dataset, split!.calibrate) : undefined;
  const passes = { engine, signal, progress, seed, samples, labels };
  const choice =
    options.criterion === autoCriterion ? await choose(model, recipe, passes) : undefined;
  if (choice) output.human(`${criterionChoiceText(choice, tableSettings(output))}\n`);
  const chosen = choice ? withCriterion(recipe, choice.criterion) : recipe;
  const { model: result, reports } = await runRecipe(model, chosen, passes);
  const report = reports.at(-1)!;
  for (const { notes } of reports.slice(0, -1)) for (const note of notes) output.detail(note);
  output.human(reportText(options.method, report, tableSettings(output)));
  for (const { warnings = [] } of reports) for (const text of warnings) output.warn(text);
  if (report.changed.length === 0)
    output.warn(`${options.method} applies to nothing in this model`);
  const small = { name: options.method, source: await modelSource(result), ...bordersAs(result) };
  const sizes = { before: await sizesOf(model, options), after: await sizesOf(result, options) };
  output.human(sizeText(sizes, context));
  const speed = await showSpeed([original, small], dataset, engine, context);
  const predictions = watchPredictions(options);
  const evaluations =
    dataset &&
    (await showQuality(
      [original, small],
      { dataset, indices: split!.evaluate, observe: predictions?.observe },
      engine,
      context,
    ));
  const written = globals.dryRun ? [] : await save(result, target, options.compress, write);
  output.human(globals.dryRun ? `Would write ${target}.` : `Wrote ${written.join(', ')}.`);
  await writeReport(
    context,
    {
      command: 'prune',
      outcome: `Pruned: ${options.method}.`,
      models: [
        { name: original.name, file: args.model, model },
        { name: small.name, file: target, model: result },
      ],
      ...{ engine, dataset, indices: split?.evaluate },
      known: {
        ...{
          recipe,
          reports,
          evaluations,
          predictions,
          notes: reports.flatMap(({ warnings = [] }) => warnings),
        },
        plan: options.method === 'structured' ? (report.details as PlanDetails) : undefined,
      },
    },
    write,
  );
  output.json({
    command: 'prune',
    model: args.model,
    written,
    sizes,
    report,
    reports,
    evaluations,
    speed,
    ...(choice && { criterionChoice: choice }),
  });
}

/** On the model as the pass will see it, with the options that the pass will have. */
async function choose(
  model: Model,
  recipe: Recipe,
  passes: Partial<PassContext>,
): Promise<CriterionChoice> {
  const { model: prepared } = await runRecipe(model, recipe.slice(0, -1), passes);
  const options = structuredOptions.parse(recipe.at(-1)!.options);
  return await chooseCriterion(prepared, options, passes);
}

function withCriterion(recipe: Recipe, criterion: string): Recipe {
  const last = recipe.at(-1)!;
  return [...recipe.slice(0, -1), { ...last, options: { ...last.options, criterion } }];
}

function reportText(method: PruneMethodName, report: PassReport, settings: TableOptions): string {
  return method === 'structured'
    ? prunePlanText(report.details as PlanDetails, settings)
    : passReportText([report], settings);
}

/** At the quality that files are written with where they are. */
function sizesOf(model: Model, { compress }: Context['options']): Promise<SizeReport> {
  return sizeOf(model, {
    brotli: () => (compress ? brotliCounter(writtenBrotliQuality) : brotliCounter()),
  });
}

function sizeText(
  { before, after }: { readonly before: SizeReport; readonly after: SizeReport },
  { output }: Context,
): string {
  const row = (name: string, { fileBytes, gzipBytes, brotliBytes }: SizeReport) => [
    name,
    ...[fileBytes, gzipBytes!, brotliBytes!].map(formatBytes),
  ];
  const columns = ['file', 'gzip', 'brotli'].map((header) => ({ header, align: 'right' as const }));
  const rows = [row('before', before), row('after', after)];
  return `\n${table([{ header: '' }, ...columns], rows, tableSettings(output))}`;
}

/** The model last, so that its compressed forms are never those of another. */
async function save(
  model: Model,
  target: string,
  compress: boolean,
  write: WriteOptions,
): Promise<string[]> {
  const files = await modelFiles(model, target);
  const all = compress ? [...files.flatMap(compressed), ...files] : files;
  await writeFilesAtomic(all, write);
  return all.map(({ path }) => path);
}

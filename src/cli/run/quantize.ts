/**
 * What pare quantize does: applies the scheme, reports it, evaluates it where there are data, and
 * writes the model.
 */
import { resolve } from 'node:path';
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import { repeatableFeeds } from '../../data/repeatable-feeds.js';
import { checkTargets } from '../../disk/check-targets.js';
import { writeFilesAtomic } from '../../disk/write-file.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { modelFiles } from '../../node.js';
import { sizeOfSource } from '../../optimize/candidate.js';
import { bordersAs } from '../../optimize/measuring.js';
import { type Recipe, type RecipeContext, runRecipe } from '../../optimize/recipe.js';
import { type PassContext, passContext } from '../../pass.js';
import { StatisticsCache } from '../../quantize/calibrate/cache.js';
import { calibrate } from '../../quantize/calibrate/calibrate.js';
import { type CalibrationTable, printCalibration } from '../../quantize/calibrate/table.js';
import { schemes } from '../../quantize/index.js';
import { formatBytes } from '../../report/format.js';
import { passReportText } from '../../report/pass-report.js';
import { version } from '../../version.js';
import { calibrationSplit } from '../calibration-split.js';
import type { CommandContext } from '../command.js';
import { type quantizeOptions, schemeFields } from '../commands/quantize.js';
import {
  bordersOf,
  inputFiles,
  portsOf,
  refuseDataOptions,
  tableSettings,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';
import { toJson } from '../output.js';
import { ownOptions } from '../own-options.js';
import { quantizeRecipe } from '../quantize-recipe.js';
import { readCalibration } from '../read-calibration.js';
import { reportTargets, watchPredictions, writeReport } from '../report-file.js';
import { showQuality, showSpeed } from '../show-measurements.js';
import { checkSearchOptions, searchNodes } from './quantize-search.js';

type Context = CommandContext<z.output<typeof quantizeOptions>, { readonly model: string }>;

export async function run(command: Context): Promise<void> {
  const { args, options, globals, cwd, signal, progress, output } = command;
  const { scheme } = options;
  const target = resolve(
    cwd,
    options.output ?? args.model.replace(/(\.onnx)?$/, `.${scheme}.onnx`),
  );
  const pass = schemes.find(({ name }) => name === scheme)!;
  const own = ownOptions('quantize', scheme, pass.options, schemeFields, options);
  const recipe = await recipeOf(options, own);
  const step = recipe.findIndex(({ pass }) => pass === scheme);
  refuseDataOptions(options);
  checkSearchOptions(options);
  checkCalibrationOptions(options);
  const pathOf = (file: string | undefined) => (file === undefined ? [] : [resolve(cwd, file)]);
  const extras = {
    calibration: pathOf(options.saveCalibration),
    sensitivity: pathOf(options.sensitivity),
  };
  await usingModels([args.model], cwd, ([opened]) =>
    usingEngine('node', globals, async (engine) => {
      const { model, files } = opened!;
      const inputs = [...inputFiles(files, options, cwd), ...pathOf(options.calibration)];
      const write = { force: globals.force, inputs, signal };
      await checkTargets(
        [target, ...extras.calibration, ...extras.sensitivity, ...reportTargets(options, cwd)],
        write,
      );
      const given = options.calibration && (await readCalibration(options.calibration, cwd));
      const source = await modelSource(model);
      const original = { name: 'original', source };
      const context = { engine, signal, progress, seed: globals.seed };
      const ports = options.data === undefined ? [] : await portsOf(engine, original);
      const apply = async (dataset: Dataset | undefined) => {
        for (const note of dataset?.notes ?? []) output.warn(note);
        const split = dataset && calibrationSplit(dataset, options.samples, globals.seed);
        const samples: PassContext['samples'] =
          dataset && repeatableFeeds(dataset, ports, split!.calibrate);
        const statistics = new StatisticsCache();
        const withSamples = {
          ...passContext({ ...context, samples, statistics }),
          firstSteps: new Map(),
        };
        const calibration =
          given ||
          (options.saveCalibration && (await tableOf(model, recipe, step, withSamples, dataset!)));
        const passes = { ...withSamples, ...(calibration && { calibration }) };
        const searched =
          dataset &&
          (await searchNodes(
            {
              ...{ model, original, recipe, step, dataset, engine, context: passes },
              samples: { search: split!.calibrate, evaluate: split!.evaluate },
            },
            options,
            output,
          ));
        const { model: result, reports } = await runRecipe(
          model,
          searched?.recipe ?? recipe,
          passes,
        );
        const report = reports[step]!;
        const small = {
          name: scheme,
          source: await modelSource(result),
          ...bordersAs(result),
        };
        for (const { notes } of reports) for (const note of notes) output.detail(note);
        const sizes = { before: sizeOfSource(source), after: sizeOfSource(small.source) };
        output.human(passReportText([report], tableSettings(output)));
        for (const { warnings = [] } of reports) for (const text of warnings) output.warn(text);
        output.human(`\n${formatBytes(sizes.before)} before, ${formatBytes(sizes.after)} after.`);
        const pair = [original, small] as const;
        const advice = slowerAdvice(options);
        const speed = await showSpeed(pair, dataset, engine, command, advice);
        const predictions = watchPredictions(options);
        const evaluations =
          dataset &&
          (await showQuality(
            pair,
            { dataset, indices: split!.evaluate, observe: predictions?.observe },
            engine,
            command,
          ));
        if (report.changed.length === 0) output.warn(`${scheme} applies to no node of this model`);
        const texts = [
          ...extras.calibration.map(
            (path) => [path, printCalibration(calibration as CalibrationTable)] as const,
          ),
          ...extras.sensitivity.map((path) => [path, `${toJson(searched!.report)}\n`] as const),
        ];
        const all = [
          ...texts.map(([path, text]) => ({ path, parts: [new TextEncoder().encode(text)] })),
          ...(await modelFiles(result, target)),
        ];
        if (!globals.dryRun) await writeFilesAtomic(all, write);
        const written = globals.dryRun ? [] : all.map(({ path }) => path);
        const names = [target, ...texts.map(([path]) => path)].join(', ');
        output.human(globals.dryRun ? `Would write ${names}.` : `Wrote ${names}.`);
        const sensitivity = searched?.report;
        await writeReport(
          command,
          {
            command: 'quantize',
            outcome: pass.summary,
            models: [
              { name: original.name, file: args.model, model },
              { name: small.name, file: target, model: result },
            ],
            ...{ engine, dataset, indices: split?.evaluate },
            known: {
              ...{ recipe: searched?.recipe ?? recipe, reports, sensitivity },
              ...{ evaluations, predictions },
            },
          },
          write,
        );
        output.json({
          command: 'quantize',
          model: args.model,
          written,
          sizes,
          report,
          reports,
          evaluations,
          speed,
          ...(searched && { kept: searched.kept, sensitivity: searched.report }),
        });
      };
      if (options.data === undefined) return apply(undefined);
      return usingData(options, ports, cwd, apply);
    }),
  );
}

/** Throws `usage` for flags of tables that contradict each other. */
function checkCalibrationOptions({
  scheme,
  data,
  calibration,
  saveCalibration,
}: Context['options']) {
  const [flag] = [
    ...(calibration === undefined ? [] : ['--calibration']),
    ...(saveCalibration === undefined ? [] : ['--save-calibration']),
  ];
  if (flag && scheme !== 'static') {
    throw new PareError('usage', `quantize: ${flag} is for static, not for ${scheme}`);
  }
  if (saveCalibration === undefined) return;
  if (calibration !== undefined) {
    throw new PareError('usage', 'quantize: a table is read or saved, not both', {
      hint: 'pare calibration FILE --set NAME=MIN,MAX -o NEW changes one',
    });
  }
  if (data === undefined) {
    throw new PareError('usage', 'quantize: --save-calibration needs samples', {
      hint: 'give --data PATH; labels are not needed',
    });
  }
}

/** What the samples show of the model that the scheme will get. */
async function tableOf(
  model: Model,
  recipe: Recipe,
  step: number,
  context: PassContext & RecipeContext,
  dataset: Dataset,
): Promise<CalibrationTable> {
  const before = await runRecipe(model, recipe.slice(0, step), context);
  const data = await dataset.fingerprint();
  return calibrate(before.model, recipe[step]!.options, context, { version, data });
}

/** What else to try for a result that runs slower than the original. */
function slowerAdvice({ scheme, form }: Context['options']): string {
  return scheme === 'weight-only' && form !== 'cast'
    ? '--form cast has the same size and folds into float weights at load'
    : 'pare optimize measures all schemes and keeps none that is slower';
}

async function recipeOf(
  options: Context['options'],
  own: Record<string, unknown>,
): Promise<Recipe> {
  const { input, output } = await bordersOf(options);
  const hasData = options.data !== undefined;
  return quantizeRecipe({ ...options, own, hasData, input, output });
}

/**
 * What pare quantize does: applies the scheme, reports it, evaluates it where there are data, and
 * writes the model.
 */
import { resolve } from 'node:path';
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import { repeatableFeeds } from '../../data/repeatable-feeds.js';
import { splitDataset } from '../../data/split.js';
import { checkTargets } from '../../disk/check-targets.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import { evaluate } from '../../measure/evaluate.js';
import { saveModel } from '../../node.js';
import { sizeOfSource } from '../../optimize/candidate.js';
import { bordersAs } from '../../optimize/measuring.js';
import { type Recipe, runRecipe } from '../../optimize/recipe.js';
import type { PassContext } from '../../pass.js';
import { schemes } from '../../quantize/index.js';
import { formatBytes } from '../../report/format.js';
import { latencyCells, qualityCells, qualityColumns } from '../../report/measurements.js';
import { passReportText } from '../../report/pass-report.js';
import { table } from '../../report/table.js';
import type { CommandContext } from '../command.js';
import { type quantizeOptions, schemeFields } from '../commands/quantize.js';
import { isSlower, measureSpeed } from '../measured-speed.js';
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
import { quantizeRecipe } from '../quantize-recipe.js';

type Context = CommandContext<z.output<typeof quantizeOptions>, { readonly model: string }>;

export async function run({
  args,
  options,
  globals,
  cwd,
  signal,
  progress,
  output,
}: Context): Promise<void> {
  const { scheme } = options;
  const target = resolve(
    cwd,
    options.output ?? args.model.replace(/(\.onnx)?$/, `.${scheme}.onnx`),
  );
  const own = schemeOptions(options);
  const recipe = await recipeOf(options, own);
  refuseDataOptions(options);
  await usingModels([args.model], cwd, ([opened]) =>
    usingEngine('node', globals, async (engine) => {
      const { model, files } = opened!;
      const write = { force: globals.force, inputs: inputFiles(files, options, cwd), signal };
      await checkTargets([target], write);
      const source = await modelSource(model);
      const original = { name: 'original', source };
      const context = { engine, signal, progress, seed: globals.seed };
      const ports = options.data === undefined ? [] : await portsOf(engine, original);
      const apply = async (dataset: Dataset | undefined) => {
        for (const note of dataset?.notes ?? []) output.warn(note);
        const split = dataset && calibrationSplit(dataset, options.samples, globals.seed);
        const samples: PassContext['samples'] =
          dataset && repeatableFeeds(dataset, ports, split!.calibrate);
        const { model: result, reports } = await runRecipe(model, recipe, { ...context, samples });
        const report = reports[recipe.findIndex(({ pass }) => pass === scheme)]!;
        const small = {
          name: scheme,
          source: await modelSource(result),
          ...bordersAs(result),
        };
        const evaluations =
          dataset && split!.evaluate.length > 0
            ? await evaluate([original, small], dataset, engine, {
                indices: split!.evaluate,
                signal,
                progress,
              })
            : undefined;
        if (dataset && !evaluations) output.warn('no samples are left to evaluate the result on');
        for (const { notes } of reports) for (const note of notes) output.detail(note);
        const sizes = { before: sizeOfSource(source), after: sizeOfSource(small.source) };
        output.human(passReportText([report], tableSettings(output)));
        const speed = await measureSpeed(original, small, engine, {
          dataset,
          seed: globals.seed,
          signal,
        });
        output.human(`\n${formatBytes(sizes.before)} before, ${formatBytes(sizes.after)} after.`);
        if (speed.rows) {
          const [before, after] = speed.rows.map((row) => latencyCells(row));
          output.human(`${before![0]} before, ${after![0]} after at one thread: ${after![1]}.`);
          if (isSlower(speed.rows[1])) {
            output.warn(`the result is slower than the original here; ${slowerAdvice(options)}`);
          }
        } else output.warn(`the speed was not measured: ${speed.reason}`);
        if (evaluations) {
          const [reference] = evaluations;
          output.human(
            table(
              [{ header: '' }, ...qualityColumns(reference!)],
              evaluations.map((each) => [each.model, ...qualityCells(each, reference!)]),
              tableSettings(output),
            ),
          );
        }
        if (report.changed.length === 0) output.warn(`${scheme} applies to no node of this model`);
        const written = globals.dryRun ? [] : await saveModel(result, target, write);
        output.human(globals.dryRun ? `Would write ${target}.` : `Wrote ${target}.`);
        output.json({
          command: 'quantize',
          model: args.model,
          written,
          sizes,
          report,
          reports,
          evaluations,
          speed,
        });
      };
      if (options.data === undefined) return apply(undefined);
      return usingData(options, ports, cwd, apply);
    }),
  );
}

/** The flags that were given, checked against what the scheme knows. */
function schemeOptions(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const pass = schemes.find(({ name }) => name === options.scheme);
  if (!pass) {
    throw new PareError('usage', `quantize: no scheme is named ${options.scheme}`, {
      hint: `schemes: ${schemes.map(({ name }) => name).join(', ')}`,
    });
  }
  const known = Object.keys(pass.options.shape);
  const given = Object.keys(schemeFields).filter((key) => options[key] !== undefined);
  const foreign = given.find((key) => !known.includes(key));
  if (foreign) {
    throw new PareError('usage', `quantize: ${options.scheme} has no option --${kebab(foreign)}`, {
      hint: `its options: ${known.map((key) => `--${kebab(key)}`).join(', ')}`,
    });
  }
  return Object.fromEntries(given.map((key) => [key, options[key]]));
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
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

/** Samples that calibrate, 100 unless the user says, and the others, which evaluate. */
function calibrationSplit(dataset: Dataset, limit = 100, seed: number) {
  const { train, test } = dataset.parts ?? {};
  const available = train ? train.end - train.start : dataset.size;
  const calibrate = Math.min(limit, available);
  const left = test ? test.end - test.start : dataset.size - calibrate;
  return splitDataset(dataset, { calibrate, evaluate: left, seed });
}

/**
 * What pare quantize does: applies the scheme, reports it, evaluates it where there are data, and
 * writes the model.
 */
import { resolve } from 'node:path';
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import { repeatableFeeds } from '../../data/repeatable-feeds.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import { evaluate } from '../../measure/evaluate.js';
import { saveModel } from '../../node.js';
import { sizeOfSource } from '../../optimize/candidate.js';
import type { PassContext } from '../../pass.js';
import { quantize, schemes } from '../../quantize/index.js';
import { formatBytes } from '../../report/format.js';
import { qualityCells, qualityColumns } from '../../report/measurements.js';
import { passReportText } from '../../report/pass-report.js';
import { table } from '../../report/table.js';
import { simplify } from '../../simplify/index.js';
import { checkTargets } from '../check-targets.js';
import type { CommandContext } from '../command.js';
import { type quantizeOptions, schemeFields } from '../commands/quantize.js';
import {
  chosenIndices,
  inputFiles,
  portsOf,
  refuseDataOptions,
  tableSettings,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';

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
        const samples: PassContext['samples'] =
          dataset &&
          repeatableFeeds(dataset, ports, calibrationIndices(dataset.size, options.samples));
        const base = options.simplify ? (await simplify(model, {}, context)).model : model;
        const { model: result, report } = await quantize(base, scheme, own, {
          ...context,
          samples,
        });
        const small = { name: scheme, source: await modelSource(result) };
        const evaluations = dataset
          ? await evaluate([original, small], dataset, engine, {
              indices: chosenIndices(dataset, options.samples, globals.seed),
              signal,
              progress,
            })
          : undefined;
        const sizes = { before: sizeOfSource(source), after: sizeOfSource(small.source) };
        output.human(passReportText([report], tableSettings(output)));
        output.human(`\n${formatBytes(sizes.before)} before, ${formatBytes(sizes.after)} after.`);
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
          evaluations,
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

/** Spread over the data, so that a file sorted by class is seen from all sides. */
function calibrationIndices(size: number, limit = 100): Uint32Array {
  const count = Math.min(limit, size);
  return Uint32Array.from({ length: count }, (_, i) => Math.floor((i * size) / count));
}

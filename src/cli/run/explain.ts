/**
 * What pare explain does: explains the model on the data, prints the tables, and writes the whole.
 */
import { basename, resolve } from 'node:path';
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import { checkTargets } from '../../disk/check-targets.js';
import { writeFilesAtomic } from '../../disk/write-file.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import { explain } from '../../explain/explain.js';
import { nameTokens } from '../../explain/name-tokens.js';
import { explanationText } from '../../report/explanation-text.js';
import type { CommandContext } from '../command.js';
import type { explainCommandOptions } from '../commands/explain.js';
import {
  inputFiles,
  portsOf,
  requireData,
  tableSettings,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';
import { reportTargets, writeReport } from '../report-file.js';
import { readVocabulary } from '../vocabulary-file.js';

type Context = CommandContext<z.output<typeof explainCommandOptions>, { readonly model: string }>;

/** A page needs no more to say how good the model is to within a few points. */
const reportedSamples = 1000;

export async function run(context: Context): Promise<void> {
  const { args, options, globals, cwd, signal, progress, output } = context;
  requireData(options);
  const {
    output: file,
    report: _report,
    vocabulary: given,
    data,
    preprocess,
    labels,
    outputs,
    ...rest
  } = options;
  const vocabulary = await readVocabulary(given, args.model, cwd, (text) => output.warn(text));
  const settings = Object.fromEntries(
    Object.entries({ ...rest, outputs: outputs?.map(numberOf) }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  await usingModels([args.model], cwd, ([opened]) =>
    usingEngine('node', globals, async (engine) => {
      const { model, files } = opened!;
      const target = file === undefined ? undefined : resolve(cwd, file);
      const inputs = [
        ...inputFiles(files, { data, preprocess }, cwd),
        ...(vocabulary ? [vocabulary.path] : []),
      ];
      const write = { force: globals.force, inputs, signal };
      await checkTargets([...(target ? [target] : []), ...reportTargets(options, cwd)], write);
      const ports = await portsOf(engine, { name: 'model', source: await modelSource(model) });
      await usingData(options, ports, cwd, async (dataset) => {
        for (const note of dataset.notes ?? []) output.warn(note);
        const seen = labels ? dataset : withoutLabels(dataset);
        const { seed } = globals;
        const explained = await explain(model, seen, settings, { engine, signal, progress, seed });
        const name = basename(args.model);
        const named = { ...explained, model: { ...explained.model, name } };
        const explanation = vocabulary ? nameTokens(named, vocabulary.pieces) : named;
        if (given !== undefined && explanation.model.tokens === null)
          output.warn('--vocabulary has no effect: the model predicts no tokens');
        output.stdout(explanationText(explanation, tableSettings(output, true)));
        if (target !== undefined && !globals.dryRun) {
          const text = new TextEncoder().encode(`${JSON.stringify(explanation)}\n`);
          await writeFilesAtomic([{ path: target, parts: [text] }], write);
          output.human(`Wrote ${target}.`);
        }
        await writeReport(
          context,
          {
            command: 'explain',
            outcome: `Explained: ${explanation.layers.length} layers.`,
            models: [{ name, file: args.model, model }],
            ...{ engine, dataset: seen, indices: firstSamples(seen) },
            known: { explanation },
          },
          write,
        );
        output.json({ command: 'explain', ...explanation });
      });
    }),
  );
}

/** What the page measures quality and confusion on. */
function firstSamples({ size }: Dataset): Uint32Array {
  return Uint32Array.from({ length: Math.min(size, reportedSamples) }, (_, at) => at);
}

function numberOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new PareError('usage', `--outputs: "${text}" is no number of a class or token`);
}

/** The same samples, without saying what they are. */
function withoutLabels(dataset: Dataset): Dataset {
  return {
    name: dataset.name,
    size: dataset.size,
    hasLabels: false,
    classes: dataset.classes,
    parts: dataset.parts,
    preprocessing: dataset.preprocessing,
    notes: dataset.notes,
    async *samples(indices) {
      for await (const { id, inputs } of dataset.samples(indices)) yield { id, inputs };
    },
    fingerprint: () => dataset.fingerprint(),
  };
}

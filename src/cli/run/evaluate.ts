/**
 * What pare evaluate does: scores the models on the data and prints a row for each.
 */
import type * as z from 'zod/mini';
import { checkTargets } from '../../disk/check-targets.js';
import { evaluate } from '../../measure/evaluate.js';
import type { Evaluation } from '../../measure/evaluation.js';
import { formatPercent } from '../../report/format.js';
import { qualityCells, qualityColumns } from '../../report/measurements.js';
import { table } from '../../report/table.js';
import type { CommandContext } from '../command.js';
import type { evaluateOptions } from '../commands/evaluate.js';
import {
  chosenIndices,
  namedModels,
  portsOf,
  requireData,
  tableSettings,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';
import { reportTargets, watchPredictions, writeReport } from '../report-file.js';

type Context = CommandContext<
  z.output<typeof evaluateOptions>,
  { readonly models: readonly string[] }
>;

export async function run(context: Context): Promise<void> {
  const { args, options, globals, cwd, signal, progress, output } = context;
  requireData(options);
  await checkTargets(reportTargets(options, cwd), { force: globals.force });
  await usingModels(args.models, cwd, (opened) =>
    usingEngine(options.target, globals, async (engine) => {
      const models = await namedModels(args.models, opened);
      const ports = await portsOf(engine, models[0]!);
      await usingData(options, ports, cwd, async (dataset) => {
        for (const note of dataset.notes ?? []) output.warn(note);
        const indices = chosenIndices(dataset, options.samples, globals.seed);
        const predictions = watchPredictions(options);
        const evaluations = await evaluate(models, dataset, engine, {
          indices,
          observe: predictions?.observe,
          task: options.task,
          output: options.output,
          batchSize: options.batchSize,
          signal,
          progress,
        });
        const [reference] = evaluations;
        if (evaluations.length === 1 && isUnscored(reference!)) {
          output.warn('nothing is scored: there are no labels, and no second model to compare');
        }
        output.stdout(
          table(
            [
              { header: 'model' },
              { header: 'samples', align: 'right' },
              ...qualityColumns(reference!),
            ],
            evaluations.map((each) => [
              each.model,
              String(each.samples),
              ...qualityCells(each, reference!),
            ]),
            { ...tableSettings(output, true), notes: notesOf(evaluations) },
          ),
        );
        await writeReport(context, {
          command: 'evaluate',
          outcome: `Evaluated on ${dataset.name}.`,
          models: models.map(({ name }, at) => ({
            ...{ name, file: args.models[at]!, model: opened[at]!.model },
          })),
          ...{ engine, dataset, indices, known: { evaluations, predictions } },
        });
        output.json({
          command: 'evaluate',
          data: { name: dataset.name, preprocessing: dataset.preprocessing },
          evaluations,
        });
      });
    }),
  );
}

function isUnscored({ classification, tokens }: Evaluation): boolean {
  return (classification?.top1 ?? null) === null && tokens === null;
}

/** The uncertainty of the first model's score, and what the evaluation remarked. */
function notesOf(evaluations: readonly Evaluation[]): string[] {
  const notes = new Set<string>();
  for (const { model, classification, notes: own } of evaluations) {
    const top1 = classification?.top1;
    if (top1) {
      const [low, high] = top1.interval.map((share) => formatPercent(share, 1));
      notes.add(`${model}: 95 % interval of top-1 ${low} to ${high}`);
    }
    for (const note of own) notes.add(note);
  }
  return [...notes];
}

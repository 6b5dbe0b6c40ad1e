/**
 * pare evaluate: accuracy of one model, or of several beside the first.
 */
import { basename } from 'node:path';
import * as z from 'zod/mini';
import { modelSource } from '../../engine/model-source.js';
import { evaluate } from '../../measure/evaluate.js';
import type { Evaluation } from '../../measure/evaluation.js';
import { formatPercent } from '../../report/format.js';
import { qualityCells, qualityColumns } from '../../report/measurements.js';
import { table } from '../../report/table.js';
import { defineCommand } from '../command.js';
import {
  chosenIndices,
  dataFields,
  portsOf,
  requireData,
  tableSettings,
  targetField,
  uniqueNames,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const evaluateCommand = defineCommand({
  name: 'evaluate',
  summary: 'measure accuracy on data, and agreement with the first model',
  description:
    'Top-1, top-5 and flips for classifiers, perplexity for token models, signal-to-noise ratio for everything. Labels are optional: without them the first model is what the others are held against.',
  arguments: [{ name: 'models', description: 'ONNX files, the reference first', variadic: true }],
  options: z.object({
    ...dataFields,
    target: targetField,
    task: z.optional(
      z
        .enum(['classification', 'tokens', 'generic'])
        .check(meta('what is scored (default: found out)')),
    ),
    output: z.optional(
      z.string().check(meta('the output that is scored', { placeholder: 'NAME' })),
    ),
    batchSize: z._default(
      z
        .int()
        .check(
          z.minimum(1),
          meta('samples per run, where the model allows it', { placeholder: 'N' }),
        ),
      1,
    ),
  }),
  examples: [
    { command: 'evaluate net.onnx --data photos --preprocess imagenet', text: 'accuracy' },
    { command: 'evaluate net.onnx net.opt.onnx --data photos', text: 'before and after' },
  ],
  async run({ args, options, globals, cwd, signal, progress, output }) {
    requireData(options);
    await usingModels(args.models, cwd, (opened) =>
      usingEngine(options.target, globals, async (engine) => {
        const names = uniqueNames(args.models.map((path) => basename(path)));
        const models = await Promise.all(
          opened.map(async ({ model }, at) => ({
            name: names[at]!,
            source: await modelSource(model),
          })),
        );
        const ports = await portsOf(engine, models[0]!);
        await usingData(options, ports, cwd, async (dataset) => {
          for (const note of dataset.notes ?? []) output.warn(note);
          const evaluations = await evaluate(models, dataset, engine, {
            indices: chosenIndices(dataset, options.samples, globals.seed),
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
          output.json({
            command: 'evaluate',
            data: { name: dataset.name, preprocessing: dataset.preprocessing },
            evaluations,
          });
        });
      }),
    );
  },
});

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

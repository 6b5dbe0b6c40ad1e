/**
 * What pare bench does: times the models and prints a row for each.
 */
import type * as z from 'zod/mini';
import { checkTargets } from '../../disk/check-targets.js';
import { randomFeeds } from '../../engine/host-tensor.js';
import { type BenchRow, bench } from '../../measure/bench.js';
import { feedsOfSample } from '../../optimize/measuring.js';
import { describeMachine } from '../../optimize/node-machine.js';
import { formatMs } from '../../report/format.js';
import { latencyCells, latencyColumns, memoryCell } from '../../report/measurements.js';
import { table } from '../../report/table.js';
import type { CommandContext } from '../command.js';
import type { benchOptions } from '../commands/bench.js';
import {
  namedModels,
  portsOf,
  refuseDataOptions,
  tableSettings,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';
import { reportTargets, writeReport } from '../report-file.js';

type Context = CommandContext<
  z.output<typeof benchOptions>,
  { readonly models: readonly string[] }
>;

export async function run(context: Context): Promise<void> {
  const { args, options, globals, cwd, signal, progress, output } = context;
  refuseDataOptions(options);
  await checkTargets(reportTargets(options, cwd), { force: globals.force });
  await usingModels(args.models, cwd, (opened) =>
    usingEngine(options.target, globals, async (engine) => {
      const models = await namedModels(args.models, opened);
      const ports = await portsOf(engine, models[0]!);
      const feeds =
        options.data === undefined
          ? randomFeeds(ports, { seed: globals.seed })
          : await usingData(options, ports, cwd, (dataset) =>
              feedsOfSample(dataset, engine, models[0]!, 0),
            );
      const machine = describeMachine();
      const report = await bench(models, feeds, engine, {
        rounds: options.rounds,
        warmup: options.warmup,
        maxMs: options.maxTime,
        levels: options.levels,
        threads: options.allThreads ? [...new Set([1, machine.cores])] : [engine.threads],
        memory: options.memory,
        signal,
        progress,
      });
      output.stdout(
        table(
          [
            { header: 'model' },
            { header: 'threads', align: 'right' },
            { header: 'level' },
            ...latencyColumns,
            { header: 'p10-p90', align: 'right' },
            { header: 'load', align: 'right' },
            { header: 'memory', align: 'right' },
          ],
          report.rows.map(cellsOf),
          {
            ...tableSettings(output, true),
            notes: [
              `${engine.name} ${engine.version}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; medians of ${report.rows[0]?.rounds} rounds`,
            ],
          },
        ),
      );
      await writeReport(context, {
        command: 'bench',
        outcome: 'Timed side by side.',
        models: models.map(({ name }, at) => ({
          ...{ name, file: args.models[at]!, model: opened[at]!.model },
        })),
        ...{ engine, known: { bench: report.rows } },
        threads: report.rows[0]?.threads,
      });
      output.json({ command: 'bench', machine, ...report });
    }),
  );
}

function cellsOf(row: BenchRow): string[] {
  return [
    row.model,
    String(row.threads),
    row.level,
    ...latencyCells(row),
    `${row.p10Ms.toFixed(3)}-${row.p90Ms.toFixed(3)}`,
    formatMs(row.createMs),
    memoryCell(row),
  ];
}

/**
 * --report FILE: makes the report of a command's result and writes it, as a page or as data. The
 * commands bring what they know; what is missing is measured by the library.
 */
import { basename, extname, relative, resolve } from 'node:path';
import type { Preprocess } from '../data/preprocess.js';
import { type WriteOptions, writeFilesAtomic } from '../disk/write-file.js';
import { PareError } from '../errors.js';
import { PredictionLog } from '../measure/prediction-log.js';
import { brotliCounter, loadPreprocess } from '../node.js';
import {
  type KnownParts,
  makeReport,
  type ReportModel,
  type ReportRequest,
} from '../optimize/make-report.js';
import { describeMachine } from '../optimize/node-machine.js';
import { printReport, type Report } from '../report/data/report.js';
import { version } from '../version.js';
import type { CommandContext } from './command.js';
import type { GlobalValues } from './global-options.js';
import type { DataValues } from './open.js';
import type { Output } from './output.js';

interface ReportValues extends DataValues {
  readonly report?: string | undefined;
}

type Context = Pick<
  CommandContext<ReportValues, unknown>,
  'options' | 'globals' | 'cwd' | 'argv' | 'signal' | 'progress'
> & { readonly output: Output; readonly globals: GlobalValues };

export interface ReportJob
  extends Pick<ReportRequest, 'models' | 'outcome' | 'engine' | 'dataset' | 'indices' | 'threads'> {
  /** Such as 'optimize'. */
  readonly command: string;
  readonly known?: KnownParts | undefined;
}

const forms = ['.html', '.htm', '.json'];

/** The file of --report, to be checked with the other targets before any work. */
export function reportTargets({ report }: ReportValues, cwd: string): string[] {
  if (report === undefined) return [];
  if (!forms.includes(extname(report).toLowerCase())) {
    throw new PareError('usage', `--report: "${report}" ends neither in .html nor in .json`, {
      hint: 'a page ends in .html, its data alone in .json',
    });
  }
  return [resolve(cwd, report)];
}

/** What sees the samples of a command's own evaluation for its report; undefined without one. */
export function watchPredictions({ report }: ReportValues): PredictionLog | undefined {
  return report === undefined ? undefined : new PredictionLog();
}

/** Does nothing without --report. */
export async function writeReport(
  context: Context,
  job: ReportJob,
  write: WriteOptions = { force: context.globals.force },
): Promise<void> {
  const { options, globals, cwd, signal, progress, output } = context;
  const [path] = reportTargets(options, cwd);
  if (path === undefined) return;
  const { command, models, outcome, engine, dataset, indices, known = {} } = job;
  const scaling: Preprocess =
    options.data === undefined ? {} : await loadPreprocess(options.preprocess);
  const report = await makeReport({
    title: titleOf(models),
    outcome,
    provenance: {
      pare: version,
      created: new Date().toISOString(),
      command,
      call: callOf(command, context.argv),
      seed: globals.seed,
      engine: { name: engine.name, version: engine.version },
      machine: describeMachine(),
      data: dataset
        ? {
            path: options.data ?? dataset.name,
            size: dataset.size,
            fingerprint: await dataset.fingerprint(),
            preprocessing: dataset.preprocessing,
          }
        : null,
    },
    ...{ models, known, engine, dataset, indices, signal, progress },
    scaling,
    threads: job.threads ?? globals.threads ?? 1,
    seed: globals.seed,
    brotli: () => brotliCounter(),
  });
  const text = await textOf(report, path);
  const shown = relative(cwd, path);
  if (globals.dryRun) {
    output.human(`Would write ${shown}.`);
    return;
  }
  await writeFilesAtomic([{ path, parts: [new TextEncoder().encode(text)] }], write);
  output.human(`Wrote the report ${shown}.`);
}

async function textOf(report: Report, path: string): Promise<string> {
  if (extname(path).toLowerCase() === '.json') return `${printReport(report)}\n`;
  const { renderReport } = await import('../report/html/page.js');
  return renderReport(report);
}

function titleOf(models: readonly ReportModel[]): string {
  const names = models.map(({ file }) => basename(file));
  return models.length === 2 ? names.join(' → ') : names.join(', ');
}

/** As it was typed, ready for a shell. */
function callOf(command: string, argv: readonly string[] = []): string {
  const quote = (word: string) =>
    /^[\w./:,=%+@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  return ['pare', command, ...argv.map(quote)].join(' ');
}

/**
 * What pare optimize does: has the library choose, prints both tables, and writes the model and
 * its receipt.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, relative, resolve } from 'node:path';
import type * as z from 'zod/mini';
import { checkTargets } from '../../disk/check-targets.js';
import { writeFilesAtomic } from '../../disk/write-file.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import type { BenchRow } from '../../measure/bench.js';
import { sizeOf } from '../../measure/size.js';
import { brotliCounter, loadPreprocess, modelFiles } from '../../node.js';
import { chooseSamples } from '../../optimize/measuring.js';
import { describeMachine } from '../../optimize/node-machine.js';
import { type OptimizeResult, optimize } from '../../optimize/optimize.js';
import { promiseText, type QualityPromise } from '../../optimize/promise.js';
import { groupSkips, makeReceipt } from '../../optimize/receipt.js';
import { trainingOfSteps } from '../../report/build/training.js';
import { beforeAfterTable, candidateTable } from '../../report/optimize-table.js';
import { version } from '../../version.js';
import type { CommandContext } from '../command.js';
import type { optimizeOptions } from '../commands/optimize.js';
import { ExitCode } from '../exit-codes.js';
import type { GlobalValues } from '../global-options.js';
import { stampOf, stampOfOutput } from '../node-hash.js';
import {
  bordersOf,
  inputFiles,
  portsOf,
  requireData,
  tableSettings,
  usingData,
  usingEngine,
  usingModels,
} from '../open.js';
import { reportTargets, writeReport } from '../report-file.js';

type Options = z.output<typeof optimizeOptions>;
type Context = CommandContext<Options, { readonly model: string }>;

export interface OptimizeSettings {
  /** False where the caller deletes the files afterwards: they are then not announced. */
  readonly keep?: boolean;
}

export async function run(
  context: Context,
  { keep = true }: OptimizeSettings = {},
): Promise<ExitCode> {
  const { args, options, globals, cwd, signal, progress, output } = context;
  const target = resolve(cwd, options.output ?? args.model.replace(/(\.onnx)?$/, '.opt.onnx'));
  const receiptPath = `${target.replace(/\.onnx$/, '')}.json`;
  const data = requireData(options);
  return usingModels([args.model], cwd, ([opened]) => {
    const { model, files } = opened!;
    return usingEngine(options.target, globals, async (engine) => {
      const inputs = inputFiles(files, options, cwd);
      await checkTargets([target, receiptPath, ...reportTargets(options, cwd)], {
        force: globals.force,
        inputs,
      });
      await checkReceiptPath(receiptPath);
      const original = { name: 'original', source: await modelSource(model) };
      const ports = await portsOf(engine, original);
      return usingData(options, ports, cwd, async (dataset) => {
        for (const note of dataset.notes ?? []) output.warn(note);
        const result = await optimize(model, dataset, engine, {
          target: options.target,
          goal: options.for,
          promise: promiseOf(options),
          borders: await bordersOf(options),
          prune: options.prune,
          criterion: options.criterion,
          rounds: options.rounds,
          finetune: finetuneOf(options),
          reduceRange: options.reduceRange,
          threads: globals.threads,
          samples: options.samples,
          seed: globals.seed,
          version,
          signal,
          progress,
        });
        const settings = tableSettings(output);
        output.human(candidateTable(result, settings));
        for (const note of result.notes) output.warn(note);
        const { winner, ...measured } = result;
        if (!winner) {
          output.human('');
          output.human(
            result.failure === 'quality'
              ? `Nothing that is smaller or faster keeps the promise (${promiseText(result.promise)}); nothing was written.`
              : 'Nothing is smaller or faster than the model as it is; nothing was written.',
          );
          output.json({ command: 'optimize', model: args.model, written: null, ...measured });
          return result.failure === 'quality' ? ExitCode.qualityNotMet : ExitCode.budgetNotMet;
        }
        for (const { warnings = [] } of winner.reports)
          for (const text of warnings) output.warn(text);
        output.human('');
        output.human(beforeAfterTable(result, settings));
        const written = await modelFiles(winner.model, target);
        const receipt = makeReceipt(result, {
          version,
          created: new Date(),
          command: commandLine(args.model, options, globals),
          target: options.target,
          seed: globals.seed,
          model: await stampOf(files, receiptPath),
          output: await stampOfOutput(written, target, receiptPath),
          data: {
            path: slashes(relative(dirname(receiptPath), resolve(cwd, data))),
            size: dataset.size,
            fingerprint: await dataset.fingerprint(),
            preprocess: await loadPreprocess(options.preprocess),
            preprocessing: dataset.preprocessing,
            samples: result.samples,
            limit: options.samples ?? null,
          },
          engine,
          machine: describeMachine(),
          compressed: {
            original: await compressedBytes(model),
            optimized: await compressedBytes(winner.model),
          },
        });
        const text = new TextEncoder().encode(`${JSON.stringify(receipt, null, 2)}\n`);
        if (!globals.dryRun) {
          await writeFilesAtomic([{ path: receiptPath, parts: [text] }, ...written], {
            force: globals.force,
            inputs,
            signal,
          });
        }
        await writeReport(
          context,
          {
            command: 'optimize',
            outcome: winner.why,
            models: [
              { name: 'original', file: args.model, model, sha256: receipt.model.sha256 },
              {
                name: winner.name,
                file: target,
                model: winner.model,
                sha256: receipt.output.sha256,
              },
            ],
            ...{ engine, dataset },
            indices: chooseSamples(dataset, options.samples, globals.seed).evaluate,
            threads: result.original.bench.threads,
            known: {
              ...{ recipe: winner.recipe, reports: winner.reports, notes: result.notes },
              ...{ promise: result.promise, search: result },
              bench: benchOf(result),
              training: trainingOfSteps(winner.reports),
            },
          },
          { force: globals.force, inputs, signal },
        );
        output.human('');
        output.human(`Promise: ${promiseText(result.promise)}`);
        output.human(`Recipe: ${winner.recipe.map(({ pass }) => pass).join(', ')}`);
        for (const { op, nodes, reason } of groupSkips(winner.reports).slice(0, 5)) {
          output.detail(`left alone: ${nodes.length} ${op}: ${reason}`);
        }
        if (keep)
          output.human(
            globals.dryRun
              ? `Would write ${basename(target)} and ${basename(receiptPath)}.`
              : `Wrote ${relative(cwd, target)} and its receipt ${basename(receiptPath)}. Check them with: pare verify ${quote(relative(cwd, target))}`,
          );
        output.json({
          command: 'optimize',
          model: args.model,
          written: globals.dryRun || !keep ? null : { model: target, receipt: receiptPath },
          chosen: winner.name,
          receipt,
        });
        return ExitCode.ok;
      });
    });
  });
}

/** Timings of the original and of the winner, which were measured together. */
function benchOf({ original, candidates }: OptimizeResult): BenchRow[] {
  const chosen = candidates.find(({ verdict }) => verdict === 'chosen');
  return [original.bench, ...(chosen?.bench ? [chosen.bench] : [])];
}

function finetuneOf({ finetune, epochs }: Options): { epochs?: number } | undefined {
  if (finetune) return epochs === undefined ? {} : { epochs };
  if (epochs === undefined) return undefined;
  throw new PareError('usage', 'optimize: --epochs is for --finetune, which is not given', {
    hint: 'add --finetune with --prune, or leave --epochs out',
  });
}

function promiseOf(options: Options): QualityPromise | undefined {
  const { maxDrop, maxFlips, minSnr } = options;
  if (maxDrop === undefined && maxFlips === undefined && minSnr === undefined) return undefined;
  return { maxDrop, maxFlips, minSnr };
}

/** With --force a receipt is replaced, and no other file that happens to have its name. */
async function checkReceiptPath(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined || text.includes('"pare receipt"')) return;
  throw new PareError('usage', 'optimize: the receipt would replace a file that is no receipt', {
    file: path,
    hint: 'choose another name for the output with -o',
  });
}

async function compressedBytes(model: Model) {
  const { gzipBytes, brotliBytes } = await sizeOf(model, { brotli: () => brotliCounter() });
  return { gzipBytes, brotliBytes };
}

/** The call that makes the file again, with everything that decides its bytes. */
function commandLine(
  model: string,
  options: Readonly<Record<string, unknown>>,
  { seed, threads }: GlobalValues,
): string {
  const flags = Object.entries<unknown>({ ...options, seed, threads })
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([key, value]) => {
      const flag = `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
      return value === true ? flag : `${flag} ${quote(String(value))}`;
    });
  return ['pare optimize', quote(model), ...flags].join(' ');
}

function quote(text: string): string {
  return /^[\w./:,=%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function slashes(path: string): string {
  return path.replaceAll('\\', '/');
}

/**
 * pare optimize: the main job on the command line.
 */
import { basename, dirname, join, relative, resolve } from 'node:path';
import * as z from 'zod/mini';
import { modelSource } from '../../engine/model-source.js';
import type { Model } from '../../graph/model.js';
import { sizeOf } from '../../measure/size.js';
import { brotliCounter, loadPreprocess, modelFiles } from '../../node.js';
import { describeMachine } from '../../optimize/node-machine.js';
import { optimize } from '../../optimize/optimize.js';
import type { QualityPromise } from '../../optimize/promise.js';
import { groupSkips, makeReceipt } from '../../optimize/receipt.js';
import { beforeAfterTable, candidateTable } from '../../report/optimize-table.js';
import { version } from '../../version.js';
import { checkTargets } from '../check-targets.js';
import { defineCommand } from '../command.js';
import { ExitCode } from '../exit-codes.js';
import { stampOf, stampOfParts } from '../node-hash.js';
import { dataFields, portsOf, targetField, usingData, usingEngine, usingModels } from '../open.js';
import { writeFilesAtomic } from '../write-file.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const optimizeOptions = z.object({
  ...dataFields,
  target: targetField,
  for: z._default(
    z.enum(['latency', 'size', 'balanced']).check(meta('what the best candidate is best at')),
    'balanced',
  ),
  maxDrop: z.optional(
    z
      .number()
      .check(
        z.minimum(0),
        meta('most points of accuracy that may be lost; needs labels', { unit: 'points' }),
      ),
  ),
  maxFlips: z.optional(
    z
      .number()
      .check(z.minimum(0), meta('most percent of predictions that may change', { unit: 'points' })),
  ),
  minSnr: z.optional(
    z.number().check(meta('least signal-to-noise ratio of the outputs', { unit: 'dB' })),
  ),
  output: z.optional(
    z
      .string()
      .check(
        meta('the file to write (default: MODEL.opt.onnx)', { short: 'o', placeholder: 'FILE' }),
      ),
  ),
});

export const optimizeCommand = defineCommand({
  name: 'optimize',
  summary: 'find the smallest and fastest form of a model that keeps its accuracy, measured',
  description:
    'Makes the candidates that can pay on the target, measures size, latency, memory and accuracy of each on the runtime itself, and writes the best one that keeps the promise, with a receipt beside it (OUT.json). When nothing helps it writes nothing and exits with 5; when only the accuracy stands in the way, with 4.',
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: optimizeOptions,
  examples: [
    {
      command: 'optimize resnet.onnx --data photos --preprocess imagenet --max-drop 0.5',
      text: 'at most half a point of top-1 lost',
    },
    {
      command: 'optimize bert.onnx --data tokens.jsonl --max-flips 1% --for latency',
      text: 'without labels: 1 % of predictions may change',
    },
  ],
  async run({ args, options, globals, cwd, signal, progress, output }) {
    const target = resolve(cwd, options.output ?? args.model.replace(/(\.onnx)?$/, '.opt.onnx'));
    const receiptPath = `${target.replace(/\.onnx$/, '')}.json`;
    return usingModels([args.model], cwd, ([opened]) => {
      const { model, files } = opened!;
      return usingEngine(options.target, globals, async (engine) => {
        await checkTargets([target, receiptPath], { force: globals.force, inputs: files });
        const original = { name: 'original', source: await modelSource(model) };
        const ports = await portsOf(engine, original);
        return usingData(options, ports, cwd, async (dataset) => {
          for (const note of dataset.notes ?? []) output.warn(note);
          const result = await optimize(model, dataset, engine, {
            target: options.target,
            goal: options.for,
            promise: promiseOf(options),
            threads: globals.threads,
            samples: options.samples,
            seed: globals.seed,
            version,
            signal,
            progress,
          });
          const { terminal } = output;
          const settings = {
            width: terminal.width ?? Number.POSITIVE_INFINITY,
            style: terminal.style,
          };
          output.human(candidateTable(result, settings));
          const { winner, ...measured } = result;
          if (!winner) {
            const lossy = measured.candidates.some(({ evaluation }) => evaluation !== null);
            output.human('');
            output.human(
              lossy
                ? 'Nothing that is smaller or faster keeps the promise; nothing was written.'
                : 'Nothing is smaller or faster than the model as it is; nothing was written.',
            );
            output.json({ command: 'optimize', model: args.model, written: null, ...measured });
            return failure(measured.candidates);
          }
          output.human('');
          output.human(beforeAfterTable(result, settings));
          const written = await modelFiles(winner.model, target);
          const receipt = makeReceipt(result, {
            version,
            created: new Date(),
            command: commandLine(args.model, options),
            target: options.target,
            seed: globals.seed,
            model: await stampOf(files, receiptPath),
            output: stampOfParts(allParts(written), target, receiptPath),
            data: {
              path: relative(dirname(receiptPath), resolve(cwd, options.data!)),
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
              inputs: files,
              signal,
            });
          }
          output.human('');
          output.human(`Recipe: ${winner.recipe.map(({ pass }) => pass).join(', ')}`);
          for (const { op, nodes, reason } of groupSkips(winner.reports).slice(0, 5)) {
            output.detail(`left alone: ${nodes.length} ${op}: ${reason}`);
          }
          output.human(
            globals.dryRun
              ? `Would write ${basename(target)} and ${basename(receiptPath)}.`
              : `Wrote ${join(relative(cwd, dirname(target)), basename(target))} and its receipt ${basename(receiptPath)}. Check them with: pare verify ${relative(cwd, target)}`,
          );
          output.json({
            command: 'optimize',
            model: args.model,
            written: globals.dryRun ? null : { model: target, receipt: receiptPath },
            chosen: winner.name,
            receipt,
          });
          return ExitCode.ok;
        });
      });
    });
  },
});

function promiseOf(options: z.output<typeof optimizeOptions>): QualityPromise | undefined {
  const { maxDrop, maxFlips, minSnr } = options;
  if (maxDrop === undefined && maxFlips === undefined && minSnr === undefined) return undefined;
  return { maxDrop, maxFlips, minSnr };
}

/** 4 when a candidate was good for something and lost too much, 5 when none was. */
function failure(candidates: readonly { evaluation: unknown }[]): ExitCode {
  return candidates.some(({ evaluation }) => evaluation !== null)
    ? ExitCode.qualityNotMet
    : ExitCode.budgetNotMet;
}

async function compressedBytes(model: Model) {
  const { gzipBytes, brotliBytes } = await sizeOf(model, { brotli: () => brotliCounter() });
  return { gzipBytes, brotliBytes };
}

function* allParts(files: readonly { parts: unknown }[]): Generator<Uint8Array> {
  for (const { parts } of files) yield* parts as Iterable<Uint8Array>;
}

function commandLine(model: string, options: Readonly<Record<string, unknown>>): string {
  const flags = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} ${quote(String(value))}`,
    );
  return ['pare optimize', quote(model), ...flags].join(' ');
}

function quote(text: string): string {
  return /^[\w./:,=%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * What pare verify does: checks the files and runs the receipt again.
 */
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type * as z from 'zod/mini';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import type { BenchRow } from '../../measure/bench.js';
import { evaluate } from '../../measure/evaluate.js';
import { modelFiles, openData } from '../../node.js';
import { makeCandidate } from '../../optimize/candidate.js';
import {
  bordersAs,
  calibrationContext,
  chooseSamples,
  feedsOfSample,
  timeModels,
} from '../../optimize/measuring.js';
import { type Check, checkEvaluation } from '../../optimize/verify.js';
import { latencyCells } from '../../report/measurements.js';
import { table } from '../../report/table.js';
import { version } from '../../version.js';
import type { CommandContext } from '../command.js';
import type { verifyOptions } from '../commands/verify.js';
import { ExitCode } from '../exit-codes.js';
import { stampOf, stampOfOutput } from '../node-hash.js';
import { portsOf, tableSettings, usingEngine, usingModels } from '../open.js';
import { readReceipt } from '../read-receipt.js';

type Context = CommandContext<z.output<typeof verifyOptions>, { readonly model: string }>;

export async function run({
  args,
  options,
  cwd,
  signal,
  progress,
  output,
}: Context): Promise<ExitCode> {
  const path = resolve(cwd, args.model);
  const receiptPath = resolve(cwd, options.receipt ?? `${path.replace(/\.onnx$/, '')}.json`);
  const receipt = await readReceipt(receiptPath);
  const folder = dirname(receiptPath);
  const originalPath = resolve(cwd, options.original ?? resolve(folder, receipt.model.path));
  const dataPath = resolve(cwd, options.data ?? resolve(folder, receipt.data.path));
  await requireFile(path, 'the model', 'check the path');
  await requireFile(originalPath, 'the original model', 'say where it is now: --original FILE');
  await requireFile(dataPath, 'the data', 'say where they are now: --data PATH');
  const checks: Check[] = [];
  const bench = await usingModels([originalPath, path], cwd, async ([original, optimized]) => {
    const stamps = [
      await stampOf(original!.files, receiptPath),
      await stampOf(optimized!.files, receiptPath),
    ];
    checks.push(
      hashCheck('original unchanged', receipt.model, stamps[0]!),
      hashCheck('output unchanged', receipt.output, stamps[1]!),
    );
    return usingEngine(receipt.target, { threads: receipt.threads }, async (engine) => {
      if (receipt.pare !== version || receipt.engine.version !== engine.version) {
        output.warn(
          `made with pare ${receipt.pare} and ${receipt.engine.name} ${receipt.engine.version}, verified with pare ${version} and ${engine.name} ${engine.version}`,
        );
      }
      const spec = { name: receipt.candidate, why: '', recipe: receipt.recipe };
      const context = { signal, progress, seed: receipt.seed, engine };
      const models = [
        { name: 'original', source: await modelSource(original!.model) },
        {
          name: 'optimized',
          source: await modelSource(optimized!.model),
          ...bordersAs(optimized!.model),
        },
      ];
      const ports = await portsOf(engine, models[0]!);
      const dataset = await openData(dataPath, { ports, preprocess: receipt.data.preprocess });
      try {
        for (const note of dataset.notes ?? []) output.warn(note);
        const fingerprint = await dataset.fingerprint();
        checks.push({
          name: 'data unchanged',
          result: fingerprint === receipt.data.fingerprint ? 'ok' : 'failed',
          detail: `${dataset.size} samples, the receipt states ${receipt.data.size}`,
        });
        const { limit } = receipt.data;
        // Also where the chosen candidate is one that was not trained: the split was the same.
        const trains = (receipt.data.samples.train ?? 0) > 0;
        const samples = chooseSamples(dataset, limit ?? undefined, receipt.seed, trains);
        checks.push(
          await attempt('recipe makes the same file', async () => {
            const calibration = calibrationContext(dataset, ports, samples.search);
            const again = await makeCandidate(original!.model, spec, receipt.pare, {
              ...context,
              ...calibration,
              training: {
                dataset,
                train: samples.train,
                validate: samples.search,
                teacher: original!.model,
              },
            });
            const files = await modelFiles(again.model, path);
            const name = 'recipe makes the same file';
            return hashCheck(name, receipt.output, await stampOfOutput(files, path, receiptPath));
          }),
        );
        let row: BenchRow | null = null;
        const measured = await attempt('measured again', async () => {
          const [reference, again] = await evaluate(models, dataset, engine, {
            indices: samples.evaluate,
            signal,
            progress,
          });
          checks.push(...checkEvaluation(receipt, reference!, again!));
          const feeds = await feedsOfSample(dataset, engine, models[0]!, samples.evaluate[0]!);
          const timing = { engine, threads: receipt.threads, rounds: 60, memory: false };
          row = (await timeModels(models, feeds, { ...timing, signal, progress })).get(
            'optimized',
          )!;
          const name = 'measured again';
          return { name, result: 'ok', detail: `${samples.evaluate.length} samples` };
        });
        checks.push(measured);
        return row as BenchRow | null;
      } finally {
        await dataset.close?.();
      }
    });
  });
  const ok = checks.every(({ result }) => result === 'ok');
  const stated = latencyCells(receipt.optimized.bench).join(', speed ');
  output.stdout(
    table(
      [{ header: 'check' }, { header: 'result' }, { header: 'detail' }],
      checks.map(({ name, result, detail }) => [
        name,
        { text: result, tone: result === 'ok' ? 'good' : 'bad' },
        detail,
      ]),
      {
        ...tableSettings(output, true),
        notes: bench
          ? [`latency now ${latencyCells(bench).join(', speed ')}; the receipt states ${stated}`]
          : [],
      },
    ),
  );
  output.json({ command: 'verify', model: path, ok, checks, bench });
  return ok ? ExitCode.ok : ExitCode.qualityNotMet;
}

/** A file that was tampered with may fail anywhere: that is a failed check, with the reason. */
async function attempt(name: string, run: () => Promise<Check>): Promise<Check> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof PareError) || error.code === 'aborted') throw error;
    return { name, result: 'failed', detail: error.message };
  }
}

/** Throws `usage`: what a receipt names may have moved. */
async function requireFile(path: string, what: string, hint: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new PareError('usage', `verify: ${what} is not there`, { file: path, hint, cause });
  });
}

function hashCheck(
  name: string,
  stated: { readonly bytes: number; readonly sha256: string },
  found: { readonly bytes: number; readonly sha256: string },
): Check {
  const same = stated.sha256 === found.sha256;
  return {
    name,
    result: same ? 'ok' : 'failed',
    detail: same
      ? `sha256 ${found.sha256.slice(0, 12)}`
      : `${found.bytes} bytes with sha256 ${found.sha256.slice(0, 12)}, the receipt states ${stated.bytes} with ${stated.sha256.slice(0, 12)}`,
  };
}

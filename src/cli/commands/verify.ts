/**
 * pare verify: runs a receipt again.
 */
import { access, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as z from 'zod/mini';
import { modelSource } from '../../engine/model-source.js';
import { messageOf, PareError } from '../../errors.js';
import type { BenchRow } from '../../measure/bench.js';
import { evaluate } from '../../measure/evaluate.js';
import { modelFiles, openData } from '../../node.js';
import { makeCandidate } from '../../optimize/candidate.js';
import {
  calibrationContext,
  chooseSamples,
  feedsOfSample,
  timeModels,
} from '../../optimize/measuring.js';
import type { Receipt } from '../../optimize/receipt.js';
import { type Check, checkEvaluation } from '../../optimize/verify.js';
import { latencyCells } from '../../report/measurements.js';
import { table } from '../../report/table.js';
import { version } from '../../version.js';
import { defineCommand } from '../command.js';
import { ExitCode } from '../exit-codes.js';
import { stampOf, stampOfOutput } from '../node-hash.js';
import { portsOf, tableSettings, usingEngine, usingModels } from '../open.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const verifyCommand = defineCommand({
  name: 'verify',
  summary: 'run a receipt again: same file, same recipe, same accuracy, promise kept',
  description:
    'Reads the receipt beside the file (OUT.json), checks the hash of the file, makes the file again from the original model and compares it byte by byte, and measures accuracy and latency again on the same samples. Exits with 4 when a check fails.',
  arguments: [{ name: 'model', description: 'a file that pare optimize wrote' }],
  options: z.object({
    receipt: z.optional(
      z.string().check(meta('the receipt (default: beside the file)', { placeholder: 'FILE' })),
    ),
    original: z.optional(
      z.string().check(meta('where the original model is now', { placeholder: 'FILE' })),
    ),
    data: z.optional(z.string().check(meta('where the data are now', { placeholder: 'PATH' }))),
  }),
  examples: [{ command: 'verify resnet.opt.onnx', text: 'everything from the receipt' }],
  async run({ args, options, cwd, signal, progress, output }) {
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
          { name: 'optimized', source: await modelSource(optimized!.model) },
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
          const samples = chooseSamples(dataset, receipt.data.limit ?? undefined, receipt.seed);
          checks.push(
            await attempt('recipe makes the same file', async () => {
              const calibration = calibrationContext(dataset, ports, samples.search);
              const again = await makeCandidate(original!.model, spec, receipt.pare, {
                ...context,
                ...calibration,
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
  },
});

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

/** What verify reads of a receipt; the rest is for people. */
const receiptShape = z.object({
  schema: z.literal(1),
  kind: z.literal('pare receipt'),
  pare: z.string(),
  target: z.enum(['node', 'wasm', 'webgpu']),
  seed: z.number(),
  threads: z.number(),
  promise: z.object({
    maxDrop: z.optional(z.number()),
    maxFlips: z.optional(z.number()),
    minSnr: z.optional(z.number()),
  }),
  model: z.object({ path: z.string(), bytes: z.number(), sha256: z.string() }),
  output: z.object({ path: z.string(), bytes: z.number(), sha256: z.string() }),
  candidate: z.string(),
  recipe: z.array(z.object({ pass: z.string(), options: z.record(z.string(), z.unknown()) })),
  engine: z.object({ name: z.string(), version: z.string() }),
  data: z.object({
    path: z.string(),
    size: z.number(),
    fingerprint: z.string(),
    preprocess: z.record(z.string(), z.unknown()),
    limit: z.nullable(z.number()),
  }),
  original: z.object({ evaluation: z.looseObject({}) }),
  optimized: z.object({ bench: z.looseObject({}), evaluation: z.looseObject({}) }),
});

async function readReceipt(path: string): Promise<Receipt> {
  const hint = 'a receipt is written by pare optimize, beside the model; --receipt names another';
  let receipt: unknown;
  try {
    receipt = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = isMissing ? 'there is no receipt' : `no readable receipt: ${messageOf(cause)}`;
    throw new PareError('usage', `verify: ${reason}`, { file: path, hint, cause });
  }
  const parsed = z.safeParse(receiptShape, receipt);
  if (parsed.success) return receipt as Receipt;
  const where = parsed.error.issues[0]!.path.join('.');
  throw new PareError(
    'usage',
    `verify: this is no receipt that pare ${version} reads${where === '' ? '' : `: "${where}" is missing or wrong`}`,
    { file: path, hint },
  );
}

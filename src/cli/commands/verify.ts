/**
 * pare verify: runs a receipt again.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as z from 'zod/mini';
import { modelSource } from '../../engine/model-source.js';
import { messageOf, PareError } from '../../errors.js';
import { evaluate } from '../../measure/evaluate.js';
import { modelFiles, openData } from '../../node.js';
import { makeCandidate } from '../../optimize/candidate.js';
import { chooseSamples, feedsOfSample, timeModels } from '../../optimize/measuring.js';
import type { Receipt } from '../../optimize/receipt.js';
import { type Check, checkEvaluation } from '../../optimize/verify.js';
import { latencyCells } from '../../report/measurements.js';
import { table } from '../../report/table.js';
import { defineCommand } from '../command.js';
import { ExitCode } from '../exit-codes.js';
import { stampOf, stampOfParts } from '../node-hash.js';
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
    const checks: Check[] = [];
    const speed = await usingModels([originalPath, path], cwd, async ([original, optimized]) => {
      const context = { signal, progress, seed: receipt.seed };
      checks.push(
        hashCheck('original unchanged', receipt.model, await stampOf(original!.files, receiptPath)),
        hashCheck('output unchanged', receipt.output, await stampOf(optimized!.files, receiptPath)),
      );
      return usingEngine(receipt.target, { threads: receipt.threads }, async (engine) => {
        const spec = { name: receipt.candidate, why: '', recipe: receipt.recipe };
        const again = await makeCandidate(original!.model, spec, receipt.pare, {
          ...context,
          engine,
        });
        const files = await modelFiles(again.model, path);
        const parts = files.flatMap((file) => (Array.isArray(file.parts) ? file.parts : []));
        checks.push(
          hashCheck(
            'recipe makes the same file',
            receipt.output,
            stampOfParts(parts, path, receiptPath),
          ),
        );
        const models = [
          { name: 'original', source: await modelSource(original!.model) },
          { name: 'optimized', source: await modelSource(optimized!.model) },
        ];
        const ports = await portsOf(engine, models[0]!);
        const { preprocess } = receipt.data;
        const dataset = await openData(dataPath, { ports, preprocess });
        try {
          const fingerprint = await dataset.fingerprint();
          checks.push({
            name: 'data unchanged',
            result: fingerprint === receipt.data.fingerprint ? 'ok' : 'failed',
            detail: `${dataset.size} samples`,
          });
          const samples = chooseSamples(dataset, receipt.data.limit ?? undefined, receipt.seed);
          const [reference, measured] = await evaluate(models, dataset, engine, {
            indices: samples.evaluate,
            signal,
            progress,
          });
          checks.push(...checkEvaluation(receipt, reference!, measured!));
          const feeds = await feedsOfSample(dataset, engine, models[0]!, samples.evaluate[0]!);
          const timing = { engine, threads: receipt.threads, rounds: 60, memory: false };
          const rows = await timeModels(models, feeds, { ...timing, signal, progress });
          return rows.get('optimized')!;
        } finally {
          await dataset.close?.();
        }
      });
    });
    const failed = checks.filter(({ result }) => result === 'failed');
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
          notes: [
            `latency now ${latencyCells(speed).join(', speed ')}; the receipt states ${latencyCells(receipt.optimized.bench).join(', speed ')}`,
          ],
        },
      ),
    );
    output.json({ command: 'verify', model: path, ok: failed.length === 0, checks, bench: speed });
    return failed.length === 0 ? ExitCode.ok : ExitCode.qualityNotMet;
  },
});

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

async function readReceipt(path: string): Promise<Receipt> {
  const hint = 'a receipt is written by pare optimize, beside the model';
  let receipt: Receipt;
  try {
    receipt = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new PareError('usage', `verify: no readable receipt: ${messageOf(cause)}`, {
      file: path,
      hint,
      cause,
    });
  }
  if (receipt.kind === 'pare receipt' && receipt.schema === 1) return receipt;
  throw new PareError('usage', 'verify: this is no receipt that this version reads', {
    file: path,
    hint,
  });
}

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
  run: async (context) => (await import('../run/verify.js')).run(context),
});

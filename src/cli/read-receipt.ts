/**
 * Reads the receipt that pare optimize wrote, and checks all of it that pare verify relies on.
 */
import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { messageOf, PareError } from '../errors.js';
import type { Receipt } from '../optimize/receipt.js';
import { version } from '../version.js';

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

/**
 * Reads and checks a receipt. Throws `usage` for a file that is missing or that is no receipt.
 */
export async function readReceipt(path: string): Promise<Receipt> {
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

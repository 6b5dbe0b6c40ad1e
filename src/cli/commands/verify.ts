/**
 * pare verify: runs a receipt again.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const verifyOptions = z.object({
  receipt: z.optional(
    z.string().check(meta('the receipt (default: beside the file)', { placeholder: 'FILE' })),
  ),
  original: z.optional(
    z.string().check(meta('where the original model is now', { placeholder: 'FILE' })),
  ),
  data: z.optional(z.string().check(meta('where the data are now', { placeholder: 'PATH' }))),
});

export const verifyCommand = defineCommand({
  name: 'verify',
  summary: 'run a receipt again: same file, same recipe, same accuracy, promise kept',
  description:
    'Reads the receipt beside the file (OUT.json), checks the hash of the file, makes the file again from the original model and compares it byte by byte, and measures accuracy and latency again on the same samples. Exits with 4 when a check fails.',
  arguments: [{ name: 'model', description: 'a file that pare optimize wrote' }],
  options: verifyOptions,
  examples: [{ command: 'verify resnet.opt.onnx', text: 'everything from the receipt' }],
  run: async (context) => (await import('../run/verify.js')).run(context),
});

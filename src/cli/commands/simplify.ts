/**
 * pare simplify: fewer nodes, the same numbers.
 */
import * as z from 'zod/mini';
import { rewriteNames } from '../../simplify/names.js';
import { defineCommand } from '../command.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const simplifyOptions = z.object({
  include: z._default(z.array(z.string()).check(meta('only these rewrites')), []),
  exclude: z._default(z.array(z.string()).check(meta('all but these rewrites')), []),
  unshare: z._default(
    z.boolean().check(meta('give every user of a weight its own copy, as pruning needs it')),
    false,
  ),
  output: z.optional(
    z.string().check(
      meta('the file to write (default: MODEL.simple.onnx)', {
        short: 'o',
        placeholder: 'FILE',
      }),
    ),
  ),
});

export const simplifyCommand = defineCommand({
  name: 'simplify',
  summary: 'fold constants, merge duplicates and remove nodes that change nothing',
  description: `Outputs stay equal. The rewrites: ${rewriteNames.join(', ')}.`,
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: simplifyOptions,
  examples: [{ command: 'simplify model.onnx -o small.onnx', text: 'all rewrites' }],
  run: async (context) => (await import('../run/simplify.js')).run(context),
});

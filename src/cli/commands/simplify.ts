/**
 * pare simplify: fewer nodes, the same numbers.
 */
import { resolve } from 'node:path';
import * as z from 'zod/mini';
import { saveModel } from '../../node.js';
import { formatInteger } from '../../report/format.js';
import { passReportText } from '../../report/pass-report.js';
import { simplifications, simplify } from '../../simplify/index.js';
import { checkTargets } from '../check-targets.js';
import { defineCommand } from '../command.js';
import { tableSettings, usingEngine, usingModels } from '../open.js';

const names = simplifications.map(({ name }) => name);
const meta = (description: string, more: object = {}) => z.meta({ description, ...more });

export const simplifyCommand = defineCommand({
  name: 'simplify',
  summary: 'fold constants, merge duplicates and remove nodes that change nothing',
  description: `Outputs stay equal. The rewrites: ${names.join(', ')}.`,
  arguments: [{ name: 'model', description: 'the ONNX file' }],
  options: z.object({
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
  }),
  examples: [{ command: 'simplify model.onnx -o small.onnx', text: 'all rewrites' }],
  run: async (context) => (await import('../run/simplify.js')).run(context),
});

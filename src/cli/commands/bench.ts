/**
 * pare bench: latency and memory of models side by side.
 */
import * as z from 'zod/mini';
import { defineCommand } from '../command.js';
import { dataFields, reportField, targetField } from '../fields.js';

const meta = (description: string, more: object = {}) => z.meta({ description, ...more });
const { data, preprocess } = dataFields;

export const benchOptions = z.object({
  data,
  preprocess,
  target: targetField,
  report: reportField,
  rounds: z._default(z.int().check(z.minimum(1), meta('counted rounds', { placeholder: 'N' })), 50),
  warmup: z._default(z.int().check(z.minimum(0), meta('rounds before', { placeholder: 'N' })), 5),
  maxTime: z._default(
    z
      .number()
      .check(z.positive(), meta('stop after about this long', { unit: 'ms', placeholder: 'TIME' })),
    20_000,
  ),
  levels: z._default(
    z
      .array(z.enum(['disabled', 'basic', 'extended', 'layout', 'all']))
      .check(meta('optimization levels of the runtime')),
    ['all'],
  ),
  allThreads: z._default(z.boolean().check(meta('one thread and all threads')), false),
  memory: z._default(z.boolean().check(meta('peak memory, each in a process of its own')), true),
});

export const benchCommand = defineCommand({
  name: 'bench',
  summary: 'time models side by side, interleaved, with their peak memory',
  description:
    'Every round runs each model once, so that drift of the machine hits all alike; the speed-up is the median of the ratios within the rounds. Inputs are seeded random numbers, or a sample of --data. --threads sets one number of threads, --all-threads times 1 and all.',
  arguments: [{ name: 'models', description: 'ONNX files, the baseline first', variadic: true }],
  options: benchOptions,
  examples: [
    { command: 'bench net.onnx net.opt.onnx --threads 1', text: 'speed-up at one thread' },
  ],
  run: async (context) => (await import('../run/bench.js')).run(context),
});

/**
 * What pare demo does: optimize and verify in a temporary folder, which is deleted at the end.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import type { CommandContext } from '../command.js';
import { optimizeOptions } from '../commands/optimize.js';
import { ExitCode } from '../exit-codes.js';
import { run as optimize } from './optimize.js';
import { run as verify } from './verify.js';

const asset = (name: string) => fileURLToPath(new URL(`../../../assets/${name}`, import.meta.url));

export async function run(context: CommandContext<object, object>): Promise<ExitCode> {
  const folder = await mkdtemp(join(tmpdir(), 'pare-demo-'));
  const out = join(folder, 'digits.opt.onnx');
  const { output, globals } = context;
  try {
    const options = z.parse(optimizeOptions, {
      data: asset('digits.npz'),
      preprocess: 'unit',
      maxDrop: 0.5,
      output: out,
    });
    output.human('pare optimize digits.onnx --data digits.npz --max-drop 0.5\n');
    const code = await optimize(
      {
        ...context,
        args: { model: asset('digits.onnx') },
        options,
        globals: { ...globals, dryRun: false },
      },
      { keep: false },
    );
    if (code !== ExitCode.ok || output.isJson) return code;
    output.human('\npare verify digits.opt.onnx\n');
    const verified = await verify({ ...context, args: { model: out }, options: {} });
    output.human('\nNothing was kept: the files were in a temporary folder.');
    return verified;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

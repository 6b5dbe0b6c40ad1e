/**
 * What pare demo does: trains a digit classifier from random weights, then optimizes and verifies
 * it, in a temporary folder which is deleted at the end. Samples that evaluate never train: the
 * classifier learns from those that optimize trains on as well.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { modelSource } from '../../engine/model-source.js';
import type { Model } from '../../graph/model.js';
import { openData, saveModel } from '../../node.js';
import { chooseSamples } from '../../optimize/measuring.js';
import { formatInteger } from '../../report/format.js';
import { finetune } from '../../train/finetune.js';
import type { CommandContext } from '../command.js';
import { optimizeOptions } from '../commands/optimize.js';
import { digitClassifier } from '../digit-classifier.js';
import { ExitCode } from '../exit-codes.js';
import { portsOf, usingEngine } from '../open.js';
import { run as optimize } from './optimize.js';
import { run as verify } from './verify.js';

const digits = fileURLToPath(new URL('../../../assets/digits.npz', import.meta.url));

type Context = CommandContext<object, object>;

export async function run(context: Context): Promise<ExitCode> {
  const folder = await mkdtemp(join(tmpdir(), 'pare-demo-'));
  const original = join(folder, 'digits.onnx');
  const out = join(folder, 'digits.opt.onnx');
  const { output, globals } = context;
  try {
    await saveModel(await train(context), original);
    const options = z.parse(optimizeOptions, {
      data: digits,
      preprocess: 'unit',
      maxDrop: 1,
      prune: 0.5,
      finetune: true,
      epochs: 8,
      output: out,
    });
    output.human(
      '\npare optimize digits.onnx --data digits.npz --max-drop 1 --prune 50% --finetune --epochs 8\n',
    );
    const code = await optimize(
      {
        ...context,
        args: { model: original },
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

/** From random weights, by the labels alone. */
function train({ globals, signal, progress, output }: Context): Promise<Model> {
  const { seed } = globals;
  const student = digitClassifier(seed);
  return usingEngine('node', globals, async (engine) => {
    const ports = await portsOf(engine, { name: 'digits', source: await modelSource(student) });
    const dataset = await openData(digits, { ports, preprocess: 'unit' });
    try {
      const samples = chooseSamples(dataset, undefined, seed, true);
      output.human(
        `A network with random weights learns ${formatInteger(samples.train.length)} digits:\n`,
      );
      const { model, samplesPerSecond } = await finetune({
        student,
        dataset,
        train: samples.train,
        validate: samples.search,
        options: { epochs: 15, learningRate: 0.03, shift: 2 },
        engine,
        seed,
        signal,
        progress,
        onEpoch: ({ epoch, loss, score }) => {
          if (epoch % 5 > 0) return;
          const percent = (100 * score!).toFixed(0);
          output.human(
            `epoch ${String(epoch).padStart(2)}: loss ${loss.toFixed(3)}, ${percent} % of ${samples.search.length} others`,
          );
        },
      });
      output.human(`${formatInteger(Math.round(samplesPerSecond))} digits per second.`);
      return model;
    } finally {
      await dataset.close?.();
    }
  });
}

/**
 * What pare finetune does: splits the data, trains with a row per epoch, evaluates the original,
 * the student and the result on samples that none of them has seen, and writes the model.
 */
import { totalmem } from 'node:os';
import { resolve } from 'node:path';
import type * as z from 'zod/mini';
import type { Dataset } from '../../data/dataset.js';
import { checkTargets } from '../../disk/check-targets.js';
import { type WriteOptions, writeFilesAtomic } from '../../disk/write-file.js';
import type { Engine, PortInfo } from '../../engine/engine.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError } from '../../errors.js';
import type { Model } from '../../graph/model.js';
import { worstOutput } from '../../measure/compare-outputs.js';
import type { Evaluation } from '../../measure/evaluation.js';
import { modelFiles } from '../../node.js';
import { bordersAs } from '../../optimize/measuring.js';
import { trainingPart } from '../../report/build/training.js';
import { formatBytes, formatInteger, formatPercent } from '../../report/format.js';
import type { EpochRow } from '../../train/checkpoint.js';
import { type FinetuneResult, finetune, type QuantizationResult } from '../../train/finetune.js';
import type { Restart } from '../../train/rate-guard.js';
import { type CheckpointFile, checkpointFile } from '../checkpoint-file.js';
import type { CommandContext } from '../command.js';
import { type finetuneCommandOptions, trainingKeys } from '../commands/finetune.js';
import { inputFiles, portsOf, requireData, usingData, usingEngine, usingModels } from '../open.js';
import { reportTargets, watchPredictions, writeReport } from '../report-file.js';
import { type QualityData, showQuality } from '../show-measurements.js';
import { trainingSplit } from '../training-split.js';
import { quantizedStudent } from './quantized-student.js';

type Context = CommandContext<
  z.output<typeof finetuneCommandOptions>,
  { readonly student: string }
>;

interface Job {
  readonly context: Context;
  readonly engine: Engine;
  readonly student: Model;
  readonly teacher: Model | undefined;
  readonly ports: readonly PortInfo[];
  readonly target: string;
  readonly write: WriteOptions;
}

export async function run(context: Context): Promise<void> {
  const { args, options, globals, cwd, signal } = context;
  requireData(options);
  const target = resolve(cwd, options.output ?? args.student.replace(/(\.onnx)?$/, '.tuned.onnx'));
  const paths = [args.student, ...(options.teacher === undefined ? [] : [options.teacher])];
  await usingModels(paths, cwd, ([student, teacher]) =>
    usingEngine('node', globals, async (engine) => {
      const files = [...student!.files, ...(teacher?.files ?? [])];
      const write = { force: globals.force, inputs: inputFiles(files, options, cwd), signal };
      await checkTargets([target, ...reportTargets(options, cwd)], write);
      const { model } = student!;
      const ports = await portsOf(engine, { name: 'student', source: await modelSource(model) });
      const job = {
        context,
        engine,
        student: model,
        teacher: teacher?.model,
        ports,
        target,
        write,
      };
      await usingData(options, ports, cwd, (dataset) => train(job, dataset));
    }),
  );
}

async function train(job: Job, dataset: Dataset): Promise<void> {
  const { context, engine, teacher, target } = job;
  const { args, options, globals, signal, progress, output } = context;
  const { seed, dryRun } = globals;
  for (const note of dataset.notes ?? []) output.warn(note);
  const split = trainingSplit(dataset, options.samples, seed);
  const { train, calibrate: validate } = split;
  output.human(
    `${formatInteger(train.length)} samples train, ${formatInteger(validate.length)} choose the epoch, ${formatInteger(split.evaluate.length)} evaluate.`,
  );
  if (validate.length === 0) output.warn('no samples choose the epoch: the last one is taken');
  const quantized = await quantizedStudent({ ...job, dataset, train, options, signal });
  const { model: student, origin } = quantized;
  for (const note of quantized.report?.notes ?? []) output.detail(note);
  // A run that writes nothing leaves no checkpoint either.
  const store = dryRun ? undefined : await openCheckpoint(`${target}.checkpoint`, context);
  const perStep = options.batchSize * options.accumulate;
  const perEpoch = Math.floor(train.length / perStep) * perStep;
  const rows = new EpochRows(perEpoch);
  const own = Object.fromEntries(trainingKeys.map((key) => [key, options[key]]));
  const result = await finetune({
    student,
    teacher,
    origin,
    dataset,
    train,
    validate,
    options: { ...own, learningRate: options.lr },
    engine,
    seed,
    ...(store && { checkpoint: { store, everySteps: options.checkpointEvery } }),
    memoryLimitBytes: totalmem(),
    signal,
    progress,
    onEpoch: (row, scoreName) => output.human(rows.text(row, scoreName)),
    onRestart: (restart) => output.warn(restartText(restart)),
  }).catch((error) => {
    throw withAdvice(error, store);
  });
  output.human(`\n${outcome(result, options.lora)}`);
  if (result.quantization) output.human(agreementText(result.quantization));
  const { compared, narrow, skipped } = result.features;
  const matched = narrow.length > 0 ? `, ${narrow.length} of them channel by channel` : '';
  if (compared.length > 0)
    output.human(`${compared.length} hidden values were compared${matched}.`);
  for (const { name, reason } of skipped) output.detail(`not compared: "${name}" ${reason}`);
  for (const { name, reason } of result.frozen) output.detail(`not trained: "${name}" ${reason}`);
  const predictions = watchPredictions(options);
  const seen = { dataset, indices: split.evaluate, observe: predictions?.observe };
  const evaluations = await evaluateAll({ ...job, student }, seen, result.model);
  const files = await modelFiles(result.model, target);
  if (!dryRun) await writeFilesAtomic(files, job.write);
  await store?.discard();
  output.human(`${dryRun ? 'Would write' : 'Wrote'} ${target}.`);
  await writeReport(
    context,
    {
      command: 'finetune',
      outcome: outcome(result, options.lora),
      models: [
        ...(teacher ? [{ name: 'original', file: options.teacher!, model: teacher }] : []),
        { name: 'student', file: args.student, model: student },
        { name: 'result', file: target, model: result.model },
      ],
      ...{ engine, dataset, indices: split.evaluate },
      known: { evaluations, predictions, training: trainingPart(result) },
    },
    job.write,
  );
  const { model: _, ...training } = result;
  output.json({
    command: 'finetune',
    student: args.student,
    teacher: options.teacher ?? null,
    written: dryRun ? [] : files.map(({ path }) => path),
    samples: {
      train: train.length,
      validate: validate.length,
      evaluate: split.evaluate.length,
    },
    training,
    evaluations: evaluations ?? null,
  });
}

async function openCheckpoint(path: string, context: Context): Promise<CheckpointFile> {
  const { options, globals, output } = context;
  const begin = options.resume ? 'resume' : globals.force ? 'anew' : 'refuse';
  const store = await checkpointFile(path, begin);
  if (options.resume && !store.exists) {
    output.warn(`there is no checkpoint to resume (${path}): it begins with the first step`);
  }
  return store;
}

/** An interrupted run says how it goes on. */
function withAdvice(error: unknown, store: CheckpointFile | undefined): unknown {
  if (!(error instanceof PareError) || error.code !== 'aborted' || !store) return error;
  return new PareError('aborted', error.message, {
    hint: 'the same call with --resume goes on from the last checkpoint',
    cause: error,
  });
}

/** Rows of a table that grows while the run goes on; a header before the first. */
class EpochRows {
  readonly #samples: number;
  #started = false;

  constructor(samplesPerEpoch: number) {
    this.#samples = samplesPerEpoch;
  }

  text({ epoch, loss, score, learningRate, seconds }: EpochRow, scoreName: string): string {
    const cells = [
      String(epoch),
      loss.toPrecision(4),
      score === null ? '-' : score.toFixed(4),
      learningRate.toExponential(1),
      formatInteger(Math.round(this.#samples / seconds)),
    ];
    const header = ['epoch', 'loss', scoreName, 'last rate', 'samples/s'];
    const line = (texts: readonly string[]) =>
      texts.map((text, at) => text.padStart(Math.max(9, header[at]!.length))).join('  ');
    const row = line(cells);
    if (this.#started) return row;
    this.#started = true;
    return `\n${line(header)}\n${row}`;
  }
}

function restartText({ from, to, startLoss, loss }: Restart): string {
  const what =
    loss === null || startLoss === null
      ? 'the loss was no number any more'
      : `training made it worse (loss ${loss.toPrecision(4)}, ${startLoss.toPrecision(4)} in the first steps)`;
  return `${what} at a rate of ${from.toPrecision(3)}: it begins again at ${to.toPrecision(3)}`;
}

function outcome(result: FinetuneResult, rank: number | undefined): string {
  const { bestEpoch, startScore, bestScore, scoreName, trained, losses, memory } = result;
  const zeros = result.sparse.length > 0 ? ` Zeros rose in ${result.sparse.length} of them.` : '';
  const how = rank === undefined ? '' : `by adapters of rank ${rank} `;
  const learned = `${trained.length} tensors were trained ${how}(${losses.join(', ')}), in about ${formatBytes(memory.totalBytes)}.${zeros}`;
  if (startScore === null || bestScore === null) return learned;
  const scores = `${scoreName} ${startScore.toFixed(4)} before`;
  return bestEpoch === 0
    ? `${learned} No epoch was better than the student: ${scores}; it stays as it was.`
    : `${learned} Epoch ${bestEpoch} is the best: ${scores}, ${bestScore.toFixed(4)} now.`;
}

/** What was trained is what runs: measured. */
function agreementText({ weights, originals, agreement }: QuantizationResult): string {
  const { asWritten, asRun } = agreement;
  const text = ({ outputs, flips }: Evaluation) => {
    const worst = worstOutput(outputs)?.agreement;
    const changed = flips ? `, ${formatPercent(flips.share)} of the predictions changed` : '';
    return worst?.exact
      ? 'bit for bit'
      : `with an SNR of ${worst?.snrDb?.toFixed(1) ?? '-'} dB${changed}`;
  };
  const from = originals === weights ? 'all' : formatInteger(originals);
  return `${formatInteger(weights)} weights learned in integers, ${from} of them from their floats on. On ${formatInteger(asRun.samples)} samples the file computes what was trained ${text(asWritten)}; with the optimizations of the runtime, ${text(asRun)}.`;
}

async function evaluateAll(
  { context, engine, student, teacher }: Job,
  seen: QualityData,
  result: Model,
): Promise<Evaluation[] | undefined> {
  const named = [
    ...(teacher ? [{ name: 'original', model: teacher }] : []),
    { name: 'student', model: student },
    { name: 'result', model: result },
  ];
  const models = await Promise.all(
    named.map(async ({ name, model }) => ({
      name,
      source: await modelSource(model),
      ...bordersAs(model),
    })),
  );
  return showQuality(models, seen, engine, context);
}

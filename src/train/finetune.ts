/**
 * Brings the accuracy of a pruned or changed model back: trains it on samples, against labels or
 * against the outputs of the model that it was made of. The teacher's outputs are the default, so
 * that unlabelled samples are enough.
 */
import type * as z from 'zod/mini';
import type { Dataset } from '../data/dataset.js';
import type { Engine, HostTensor, PortInfo } from '../engine/engine.js';
import { hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { inferShapes } from '../engine/shapes.js';
import { PareError } from '../errors.js';
import { cloneModel } from '../graph/clone.js';
import { fingerprint } from '../graph/content.js';
import type { Model } from '../graph/model.js';
import { snrOf, worstOutput } from '../measure/compare-outputs.js';
import { evaluate } from '../measure/evaluate.js';
import type { Evaluation } from '../measure/evaluation.js';
import { Tensor } from '../onnx/tensor.js';
import type { Progress } from '../progress.js';
import { readMasks, recordMasks } from '../prune/masks.js';
import { foldBatchNorm } from '../simplify/fold-batch-norm.js';
import { simplify } from '../simplify/index.js';
import { mergeInitializers } from '../simplify/merge-initializers.js';
import { changesNothing } from './augment.js';
import type { CheckpointStore, EpochRow, Restart } from './checkpoint.js';
import { finetuneOptions } from './finetune-options.js';
import { GradualPruning, sparseWeights } from './gradual.js';
import { type LoopResult, runLoop, type TrainingBatch, type Weights } from './loop.js';
import { type LossPlan, planLosses } from './loss-plan.js';
import { checkMemory, estimateMemory, type MemoryEstimate, severalStepsPay } from './memory.js';
import { openBatch } from './open-batch.js';
import { buildStep, type TrainingStep } from './step.js';
import { Teacher } from './teacher.js';
import { trainableWeights } from './trainable.js';
import { TrainingSamples } from './training-samples.js';

export interface FinetuneRequest {
  readonly student: Model;
  /** What the student was made of; undefined to learn from labels alone. */
  readonly teacher?: Model | undefined;
  /** Opened for the student's inputs. */
  readonly dataset: Dataset;
  /** Samples that train, and others that choose the best epoch. */
  readonly train: Uint32Array;
  readonly validate: Uint32Array;
  /** Names of pruned weights, whose zeros stay. Default those that the model's metadata names. */
  readonly masked?: ReadonlySet<string> | undefined;
  readonly options?: z.input<typeof finetuneOptions>;
  readonly engine: Engine;
  readonly seed?: number;
  readonly checkpoint?: { readonly store: CheckpointStore; readonly everySteps: number };
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
  /** With the name of the score, such as 'top-1'. */
  readonly onEpoch?: ((row: EpochRow, scoreName: string) => void) | undefined;
  /** The rate was too high, and training begins again at a lower one. */
  readonly onRestart?: ((restart: Restart) => void) | undefined;
  /** Memory of the machine: a run that needs more is refused before it starts. Default no limit. */
  readonly memoryLimitBytes?: number | undefined;
}

export interface FinetuneResult extends Omit<LoopResult, 'weights'> {
  readonly model: Model;
  /** What the validation score is, such as 'top-1'. */
  readonly scoreName: string;
  readonly losses: readonly string[];
  readonly trained: readonly string[];
  /** Weights that lost entries, see `sparsity` of the options. */
  readonly sparse: readonly string[];
  /** Parameters that stayed, with the reason. */
  readonly frozen: TrainingStep['frozen'];
  readonly steps: number;
  readonly samplesPerSecond: number;
  readonly memory: MemoryEstimate;
}

/**
 * The student and the teacher are not changed.
 *
 * @throws PareError `usage` for options that do not fit, `unsupported` for a model that cannot be
 *   trained (with the nodes that are in the way), `quality` when training diverges
 * @example
 * const { model } = await finetune({ student, teacher, dataset, train, validate, engine });
 */
export async function finetune(request: FinetuneRequest): Promise<FinetuneResult> {
  const { engine, dataset, signal, progress, seed = 0 } = request;
  const options = finetuneOptions.parse(request.options ?? {});
  // Equal weights that are one tensor could no longer become different ones, and a norm that is
  // folded into a weight has no statistics of a batch.
  const trainsNorms = options.batchNormalization === 'training';
  const { model: simple } = await simplify(
    request.student,
    { exclude: [mergeInitializers.name, ...(trainsNorms ? [foldBatchNorm.name] : [])] },
    { engine, signal },
  );
  const trainable = await openBatch(simple, engine, options.batchSize);
  await inferShapes(engine, trainable);
  const plan = planLosses(trainable, options, {
    hasTeacher: request.teacher !== undefined,
    hasLabels: dataset.hasLabels,
  });
  const { sparsity } = options;
  const sparse =
    sparsity === undefined
      ? undefined
      : sparseWeights(
          trainable,
          new Set(trainableWeights(trainable, options.freeze).weights.map(({ name }) => name)),
          options,
        );
  const step = await buildStep(
    trainable,
    {
      losses: plan.terms,
      optimizer: options,
      freeze: options.freeze,
      clipNorm: options.clipNorm,
      masked: request.masked ?? new Set(readMasks(trainable).keys()),
      sparse,
      averaging: options.averaging,
      batchNormalization: options.batchNormalization,
      batchSize: options.batchSize,
      accumulate: options.accumulate,
      signal,
    },
    engine,
  );
  const teacher =
    request.teacher && plan.teacher.length > 0
      ? await Teacher.open(request.teacher, plan, { engine, batchSize: options.batchSize, signal })
      : undefined;
  try {
    const ports = dataPortsOf(trainable);
    const samples = new TrainingSamples(dataset, request.train, ports, {
      batchSize: options.batchSize,
      accumulate: options.accumulate,
      seed,
      augment: options,
    });
    const pruned = [...(sparse ?? [])].filter((name) => step.own.has(name));
    const pruning =
      sparsity === undefined
        ? undefined
        : new GradualPruning(
            new Map(pruned.map((name) => [name, step.state.get(name)!])),
            { ...options, sparsity },
            options.epochs * samples.stepsPerEpoch,
          );
    const memory = await memoryOf(step, samples, ports, engine, signal);
    checkMemory(memory, request.memoryLimitBytes ?? Number.POSITIVE_INFINITY, options.batchSize);
    // In one epoch every sample is asked for once anyway.
    if (teacher && options.epochs > 1 && changesNothing(options)) {
      await teacher.learn(samples.inOrder(), request.train.length, { signal, progress });
    }
    const reference = request.teacher ?? request.student;
    const scored = request.validate.length > 0;
    let scoreName = 'none';
    const result = await runLoop({
      step,
      samples,
      targetsOf: (batch) => targetsOf(batch, plan, teacher),
      epochs: options.epochs,
      schedule: options,
      pruning,
      validate: scored
        ? async (weights) => {
            const score = scoreOf(await validate(withWeights(trainable, weights)));
            scoreName = score.name;
            return score.value;
          }
        : undefined,
      patience: options.patience,
      checkpoint: request.checkpoint && {
        ...request.checkpoint,
        key: JSON.stringify([
          options,
          seed,
          await dataset.fingerprint(),
          [request.train.length, request.validate.length],
          await fingerprintsOf(trainable),
        ]),
      },
      engine,
      severalSteps: severalStepsPay(memory),
      signal,
      progress,
      onEpoch: (row) => request.onEpoch?.(row, scoreName),
      onRestart: request.onRestart,
    });
    const steps = result.history.length * samples.stepsPerEpoch;
    // Of training alone, in all processes that took part.
    const seconds = result.history.reduce((sum, row) => sum + row.seconds, 0);
    const { weights, ...rest } = result;
    const model = withWeights(simple, weights);
    recordMasks(model, new Map(pruned.map((name) => [name, 'unstructured'])));
    return {
      ...rest,
      model,
      scoreName,
      losses: plan.terms.map(({ loss }) => loss),
      trained: [...step.results.keys()],
      sparse: pruned,
      frozen: step.frozen,
      steps,
      samplesPerSecond: (steps * options.batchSize * options.accumulate) / seconds,
      memory,
    };

    async function validate(candidate: Model): Promise<Evaluation> {
      const [, evaluation] = await evaluate(
        [
          { name: 'reference', source: await modelSource(reference) },
          { name: 'student', source: await modelSource(candidate) },
        ],
        dataset,
        engine,
        { indices: request.validate, batchSize: options.batchSize, signal },
      );
      return evaluation!;
    }
  } finally {
    await teacher?.release();
  }
}

/** From the shapes of the first batch. */
async function memoryOf(
  step: TrainingStep,
  samples: TrainingSamples,
  ports: readonly PortInfo[],
  engine: Engine,
  signal: AbortSignal | undefined,
): Promise<MemoryEstimate> {
  for await (const { feeds } of samples.epoch(0)) {
    return estimateMemory(step, ports, feeds, engine, signal);
  }
  throw new PareError('invalid-data', 'train: there is no batch');
}

/** What a checkpoint is of: names and contents of all constants. */
async function fingerprintsOf({ graph }: Model): Promise<string[]> {
  const found: string[] = [];
  for (const { name, initializer } of graph.initializers) {
    found.push(`${name} ${await fingerprint(initializer!)}`);
  }
  return found;
}

/** The inputs that the data feeds, with their open batch. */
function dataPortsOf({ graph }: Model): PortInfo[] {
  return graph.inputs
    .filter(({ initializer }) => !initializer)
    .map(({ name, dataType, dims }) => ({
      name,
      dataType,
      dims: dims?.map((dim) => dim ?? ''),
    }));
}

/** What the losses compare with, for one batch. */
async function targetsOf(
  batch: TrainingBatch,
  plan: LossPlan,
  teacher: Teacher | undefined,
): Promise<Record<string, HostTensor>> {
  const targets: Record<string, HostTensor> = { ...(await teacher?.targetsOf(batch)) };
  if (plan.label) {
    const unlabelled = batch.labels.indexOf(undefined);
    if (unlabelled >= 0) {
      throw new PareError('invalid-data', `train: sample "${batch.ids[unlabelled]}" has no label`, {
        hint: 'leave it out, or learn from a teacher',
      });
    }
    const labels = BigInt64Array.from(batch.labels, (label) => BigInt(label!));
    targets[plan.label] = hostTensor('int64', [labels.length], labels);
  }
  return targets;
}

/** A copy with these weights. */
function withWeights(model: Model, weights: Weights): Model {
  const copy = cloneModel(model);
  for (const [name, { dims, data }] of Object.entries(weights)) {
    copy.graph.value(name).initializer = Tensor.of('float', dims, data as Float32Array);
  }
  return copy;
}

interface Score {
  readonly name: string;
  readonly value: number;
}

/** Accuracy where there are labels or tokens, agreement of classes where not, else of numbers. */
function scoreOf({ classification, tokens, flips, outputs }: Evaluation): Score {
  if (classification?.top1) return { name: 'top-1', value: classification.top1.share };
  if (tokens) return { name: 'next-token accuracy', value: tokens.nextToken.share };
  if (flips) return { name: 'agreement', value: 1 - flips.share };
  const worst = worstOutput(outputs);
  return { name: 'SNR in dB', value: worst ? snrOf(worst.agreement!) : 0 };
}

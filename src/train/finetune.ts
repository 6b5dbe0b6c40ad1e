/**
 * Brings the accuracy of a pruned or changed model back: trains it on samples, against labels or
 * against the outputs of the model that it was made of. The teacher's outputs are the default, so
 * that unlabelled samples are enough.
 */
import type * as z from 'zod/mini';
import type { Dataset } from '../data/dataset.js';
import type { Engine, HostTensor, PortInfo } from '../engine/engine.js';
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
import { adaptersFor, frozenBeside, mergeAdapters } from './adapters.js';
import type { CheckpointStore, EpochRow } from './checkpoint.js';
import { explainDivergence } from './diverged.js';
import { type ComparedFeatures, comparedFeatures, featuresFor } from './feature-plan.js';
import { finetuneOptions } from './finetune-options.js';
import { GradualPruning, sparseWeights } from './gradual.js';
import { labelTarget } from './label-target.js';
import { type LoopResult, runLoop, type TrainingBatch, type Weights } from './loop.js';
import { type LossPlan, planLosses } from './loss-plan.js';
import { checkMemory, estimateMemory, type MemoryEstimate, severalStepsPay } from './memory.js';
import { openBatch } from './open-batch.js';
import {
  type Agreement,
  measureAgreement,
  type QuantizedStudent,
  quantizedStudent,
} from './qat/index.js';
import type { Restart } from './rate-guard.js';
import { buildStep, type TrainingStep } from './step.js';
import { prepareTeacher, Teacher } from './teacher.js';
import { trainableWeights } from './trainable.js';
import { TrainingSamples } from './training-samples.js';

export interface FinetuneRequest {
  readonly student: Model;
  /** What the student was made of; undefined to learn from labels alone. */
  readonly teacher?: Model | undefined;
  /**
   * Of a quantized student: the float model that it was made of. Its weights are where training
   * starts, as far as they give the student's integers. Default the teacher.
   */
  readonly origin?: Model | undefined;
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
  /** Hidden values that were compared with the teacher's, and those that could not be. */
  readonly features: ComparedFeatures;
  readonly trained: readonly string[];
  /** Weights that lost entries, see `sparsity` of the options. */
  readonly sparse: readonly string[];
  /** Parameters that stayed, with the reason. */
  readonly frozen: TrainingStep['frozen'];
  readonly steps: number;
  readonly samplesPerSecond: number;
  readonly memory: MemoryEstimate;
  /** Of a quantized student. */
  readonly quantization: QuantizationResult | undefined;
}

export interface QuantizationResult {
  /** Weights that were trained as floats and are integers again. */
  readonly weights: number;
  /** Those of them that started with the floats that they were quantized from. */
  readonly originals: number;
  /** Of the model that is written with what was trained, on the samples that validate. */
  readonly agreement: Agreement;
}

/** Samples that show the agreement where none validate. */
const agreementSamples = 100;

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
  const origin = request.origin ?? request.teacher;
  const quantized = await quantizedStudent(
    simple,
    {
      freeze: options.freeze,
      scaleRate: options.scaleRate,
      origin: origin && (await simplify(origin, {}, { engine, signal })).model,
    },
    engine,
  );
  const trainable = await openBatch(quantized?.form ?? simple, engine, options.batchSize);
  await inferShapes(engine, trainable);
  const withNumbers = (weights: Weights) =>
    quantized ? quantized.write(weights) : withWeights(simple, weights);
  const plan = planLosses(trainable, options, {
    hasTeacher: request.teacher !== undefined,
    hasLabels: dataset.hasLabels,
  });
  const needsTeacher = plan.teacher.length > 0 || options.features.length > 0;
  const original =
    needsTeacher && request.teacher
      ? await prepareTeacher(request.teacher, engine, options.batchSize, signal)
      : undefined;
  const samples = new TrainingSamples(dataset, request.train, dataPortsOf(trainable), {
    batchSize: options.batchSize,
    accumulate: options.accumulate,
    seed,
    augment: options,
    mixtures: options,
  });
  const features = await featuresFor(trainable, original, options, {
    engine,
    samples,
  });
  const masked = request.masked ?? new Set(readMasks(trainable).keys());
  const adapters = await adaptersFor(trainable, options, masked, seed);
  const source = adapters?.model ?? trainable;
  const losses = [...plan.terms, ...(features?.terms ?? [])];
  const { sparsity } = options;
  if (sparsity !== undefined && adapters) {
    throw new PareError(
      'usage',
      'finetune: sparsity is of weights that train, and lora trains none',
      { hint: 'prune first (pare prune --method unstructured) and train adapters behind it' },
    );
  }
  if (quantized && (sparsity !== undefined || adapters)) {
    const beside = adapters ? 'lora' : 'sparsity';
    throw new PareError('usage', `finetune: ${beside} is not for a quantized student`, {
      hint: `train the float model with ${beside} first, then quantize it and train on`,
    });
  }
  const sparse =
    sparsity === undefined
      ? undefined
      : sparseWeights(
          trainable,
          new Set(trainableWeights(trainable, options.freeze).weights.map(({ name }) => name)),
          options,
        );
  const step = await buildStep(
    source,
    {
      losses,
      optimizer: options,
      freeze: options.freeze,
      only: adapters && new Set(adapters.list.flatMap(({ a, b }) => [a, b])),
      clipNorm: options.clipNorm,
      masked,
      sparse,
      averaging: options.averaging,
      batchNormalization: options.batchNormalization,
      batchSize: options.batchSize,
      accumulate: options.accumulate,
      groups: quantized?.groups,
      signal,
    },
    engine,
  );
  const targets = [...plan.teacher, ...(features?.teacher ?? [])];
  const teacher =
    original && targets.length > 0
      ? await Teacher.open(original, targets, engine, signal)
      : undefined;
  try {
    const ports = dataPortsOf(trainable);
    const pruned = [...(sparse ?? [])].filter((name) => step.own.has(name));
    const pruning =
      sparsity === undefined
        ? undefined
        : new GradualPruning(
            new Map(pruned.map((name) => [name, step.state.get(name)!])),
            { ...options, sparsity },
            options.epochs * samples.stepsPerEpoch,
            step.meanSquares,
          );
    const memory = await memoryOf(step, samples, ports, engine, signal);
    checkMemory(memory, request.memoryLimitBytes ?? Number.POSITIVE_INFINITY, options.batchSize);
    // In one epoch every sample is asked for once anyway.
    if (teacher && options.epochs > 1 && samples.areUnchanged) {
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
            const candidate = quantized
              ? await quantized.write(weights)
              : withWeights(trainable, await merged(weights));
            const score = scoreOf(await validate(candidate));
            scoreName = score.name;
            return score.value;
          }
        : undefined,
      patience: options.patience,
      explain: (broken, feeds, at) =>
        explainDivergence({ model: source, losses, broken, feeds, step: at, engine }),
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
    const model = await withNumbers(await merged(weights));
    recordMasks(model, new Map(pruned.map((name) => [name, 'unstructured'])));
    return {
      ...rest,
      model,
      quantization: quantized && (await describe(quantized, weights, model)),
      scoreName,
      losses: [...new Set(losses.map(({ loss }) => loss))],
      features: comparedFeatures(features),
      trained: adapters ? adapters.list.map(({ weight }) => weight) : [...step.results.keys()],
      sparse: pruned,
      frozen: [
        ...(quantized?.left ?? []),
        ...(adapters ? frozenBeside(adapters, step.frozen) : step.frozen),
      ],
      steps,
      samplesPerSecond: (steps * options.batchSize * options.accumulate) / seconds,
      memory,
    };

    async function merged(weights: Weights): Promise<Weights> {
      return adapters ? await mergeAdapters(adapters, weights, trainable, engine) : weights;
    }

    async function describe(
      { weights: count, originals }: QuantizedStudent,
      weights: Weights,
      written: Model,
    ): Promise<QuantizationResult> {
      const chosen = scored ? request.validate : request.train.subarray(0, agreementSamples);
      const agreement = await measureAgreement(
        { trained: withWeights(trainable, weights), written },
        dataset,
        engine,
        { indices: chosen, batchSize: options.batchSize, signal },
      );
      return { weights: count, originals, agreement };
    }

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
  if (plan.label) targets[plan.label.input] = labelTarget(batch, plan.label);
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

/**
 * The training loop: feeds batches to a step model, validates after every epoch, keeps the best
 * weights, stops when nothing gets better, and can go on exactly where it was stopped. Knows no
 * operator, no loss and no file.
 */
import type { Engine, EngineSession, Feeds, HostTensor } from '../engine/engine.js';
import { float32Of, hostTensor } from '../engine/host-tensor.js';
import { modelSource } from '../engine/model-source.js';
import { PareError, throwIfAborted } from '../errors.js';
import { type Progress, silent } from '../progress.js';
import {
  type BestWeights,
  type CheckpointStore,
  decodeCheckpoint,
  type EpochRow,
  encodeCheckpoint,
} from './checkpoint.js';
import { isAllFinite } from './diverged.js';
import { learningRateAt, type ScheduleOptions } from './schedule.js';
import type { TrainingStep } from './step.js';
import type { TrainingSamples } from './training-samples.js';

export type Weights = Readonly<Record<string, HostTensor>>;

export interface LoopRequest {
  readonly step: TrainingStep;
  readonly samples: TrainingSamples;
  /** What the losses compare with, for one batch: labels, outputs of a teacher. */
  readonly targetsOf: (batch: TrainingBatch) => Promise<Readonly<Record<string, HostTensor>>>;
  readonly epochs: number;
  readonly schedule: ScheduleOptions;
  /** Higher is better; undefined where nothing can be validated, and the last weights win. */
  readonly validate?: ((weights: Weights) => Promise<number>) | undefined;
  /** Epochs without a better score after which it stops. Default never. */
  readonly patience?: number | undefined;
  /** The error for weights that are no numbers any more, after a step with these feeds. */
  readonly explain?:
    | ((broken: readonly string[], feeds: Feeds, step: number) => Promise<Error>)
    | undefined;
  readonly checkpoint?: CheckpointOptions | undefined;
  readonly engine: Engine;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
  /** Called after every epoch. */
  readonly onEpoch?: ((row: EpochRow) => void) | undefined;
}

export type TrainingBatch =
  ReturnType<TrainingSamples['epoch']> extends AsyncGenerator<infer Batch> ? Batch : never;

export interface CheckpointOptions {
  readonly store: CheckpointStore;
  /** See Checkpoint.key. */
  readonly key: string;
  /** Steps between two checkpoints; one is written after every epoch too. */
  readonly everySteps: number;
}

export interface LoopResult {
  /** By name of the model's weights. */
  readonly weights: Weights;
  readonly history: readonly EpochRow[];
  /** The epoch whose weights these are, from 1; 0 where no epoch was better than the start. */
  readonly bestEpoch: number;
  readonly bestScore: number | null;
  /** Before the first step; null where nothing was validated. */
  readonly startScore: number | null;
  readonly stoppedEarly: boolean;
  /** Steps that a checkpoint had done before. */
  readonly resumedAt: number;
}

/**
 * @throws PareError `quality` when the loss is no number any more, `aborted` on the signal; the
 *   last checkpoint stays then
 */
export async function runLoop(request: LoopRequest): Promise<LoopResult> {
  const { engine, step } = request;
  const session = await engine.createSession(await modelSource(step.model), {
    optimization: 'all',
  });
  try {
    return await new Loop(request, session).run();
  } finally {
    await session.release();
  }
}

class Loop {
  readonly #request: LoopRequest;
  readonly #session: EngineSession;
  readonly #fetches: readonly string[];
  #state: Record<string, HostTensor>;
  #step = 0;
  #lossSum = 0;
  #secondsBefore = 0;
  #history: EpochRow[] = [];
  #startScore: number | null = null;
  #best: BestWeights | undefined;

  constructor(request: LoopRequest, session: EngineSession) {
    this.#request = request;
    this.#session = session;
    this.#state = Object.fromEntries(request.step.state);
    this.#fetches = [request.step.loss, ...request.step.next.values()];
  }

  async run(): Promise<LoopResult> {
    const { epochs, samples, validate, patience, checkpoint, progress = silent } = this.#request;
    const resumedAt = await this.#resume();
    const steps = epochs * samples.stepsPerEpoch;
    const task = progress.task('train', steps);
    let stoppedEarly = false;
    try {
      if (validate && this.#step === 0) {
        this.#startScore = await validate(this.#weights());
        this.#keepIfBetter(0, this.#startScore);
      }
      let epoch = Math.floor(this.#step / samples.stepsPerEpoch);
      for (; epoch < epochs; epoch++) {
        const row = await this.#epoch(epoch, steps, (detail) => task.update(this.#step, detail));
        const score = validate ? await validate(this.#weights()) : null;
        if (score !== null) this.#keepIfBetter(epoch + 1, score);
        this.#history.push({ ...row, score });
        this.#request.onEpoch?.(this.#history.at(-1)!);
        await this.#save();
        if (patience !== undefined && this.#best && epoch + 1 - this.#best.epoch >= patience) {
          stoppedEarly = epoch + 1 < epochs;
          break;
        }
      }
    } finally {
      task.end();
    }
    await checkpoint?.store.remove();
    return {
      weights: this.#best?.weights ?? this.#weights(),
      history: this.#history,
      bestEpoch: this.#best?.epoch ?? this.#history.length,
      bestScore: this.#best?.score ?? null,
      startScore: this.#startScore,
      stoppedEarly,
      resumedAt,
    };
  }

  /** Steps of an epoch from where it stands. */
  async #epoch(epoch: number, steps: number, tell: (detail: string) => void) {
    const { samples, checkpoint, schedule, signal } = this.#request;
    const first = this.#step - epoch * samples.stepsPerEpoch;
    const start = performance.now();
    const seconds = () => this.#secondsBefore + (performance.now() - start) / 1000;
    let learningRate = 0;
    for await (const batch of samples.epoch(epoch, first)) {
      throwIfAborted(signal);
      learningRate = learningRateAt(this.#step, steps, schedule);
      this.#lossSum += await this.#train(batch, learningRate);
      this.#step++;
      const inEpoch = this.#step - epoch * samples.stepsPerEpoch;
      tell(`loss ${(this.#lossSum / inEpoch).toPrecision(4)}`);
      const isLast = inEpoch === samples.stepsPerEpoch;
      if (checkpoint && !isLast && this.#step % checkpoint.everySteps === 0) {
        await this.#save(seconds());
      }
    }
    const loss = this.#lossSum / samples.stepsPerEpoch;
    const row = { epoch: epoch + 1, loss, learningRate, seconds: seconds() };
    this.#lossSum = 0;
    this.#secondsBefore = 0;
    return row;
  }

  /** One step; returns its loss. */
  async #train(batch: TrainingBatch, learningRate: number): Promise<number> {
    const { step, targetsOf } = this.#request;
    const feeds = { ...batch.feeds, ...(await targetsOf(batch)) };
    const outputs = await this.#session.run(
      {
        ...feeds,
        ...this.#state,
        [step.learningRate]: scalar(learningRate),
        [step.step]: scalar(this.#step + 1),
      },
      this.#fetches,
    );
    const loss = float32Of(outputs[step.loss]!)[0]!;
    // An infinite gradient shows in the weights first; one look at the first step is cheap.
    if (this.#step === 0 || !Number.isFinite(loss)) {
      const contents = Number.isFinite(loss)
        ? (input: string) => outputs[step.next.get(input)!]!
        : (input: string) => this.#state[input]!;
      const broken = [...step.results].filter(([, input]) => !isAllFinite(contents(input)));
      const { explain } = this.#request;
      if (explain && broken.length > 0) {
        throw await explain(
          broken.map(([weight]) => weight),
          feeds,
          this.#step + Number(Number.isFinite(loss)),
        );
      }
    }
    if (!Number.isFinite(loss)) {
      throw new PareError('quality', `train: the loss is ${loss} in step ${this.#step + 1}`, {
        hint: `the weights left the range of float32: lower --lr (it is ${learningRate.toPrecision(3)} here), clip gradients, or --freeze what is before a Sqrt or Log of zero, whose gradient has no bound`,
      });
    }
    for (const [input, output] of step.next) this.#state[input] = outputs[output]!;
    return loss;
  }

  #weights(): Weights {
    const { results } = this.#request.step;
    return Object.fromEntries(
      Array.from(results, ([weight, input]) => [weight, this.#state[input]!]),
    );
  }

  #keepIfBetter(epoch: number, score: number): void {
    if (this.#best && !(score > this.#best.score)) return;
    this.#best = { epoch, score, weights: this.#weights() };
  }

  async #save(seconds = 0): Promise<void> {
    const { checkpoint } = this.#request;
    if (!checkpoint) return;
    await checkpoint.store.write(
      encodeCheckpoint({
        key: checkpoint.key,
        step: this.#step,
        lossSum: this.#lossSum,
        seconds,
        history: this.#history,
        startScore: this.#startScore,
        state: this.#state,
        best: this.#best,
      }),
    );
  }

  /** Takes over the last checkpoint; returns its steps. */
  async #resume(): Promise<number> {
    const { checkpoint } = this.#request;
    const bytes = await checkpoint?.store.read();
    if (!checkpoint || !bytes) return 0;
    const found = await decodeCheckpoint(bytes, 'checkpoint');
    if (found.key !== checkpoint.key) {
      throw new PareError(
        'usage',
        'train: the checkpoint is of another run: model, data or settings differ',
        { hint: 'remove the checkpoint to begin anew, or repeat the call that wrote it' },
      );
    }
    this.#step = found.step;
    this.#lossSum = found.lossSum;
    this.#secondsBefore = found.seconds;
    this.#history = [...found.history];
    this.#startScore = found.startScore;
    this.#state = { ...found.state };
    this.#best = found.best;
    return found.step;
  }
}

function scalar(value: number): HostTensor {
  return hostTensor('float', [], Float32Array.of(value));
}

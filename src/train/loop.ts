/**
 * The training loop: feeds batches to a step model, validates after every epoch, keeps the best
 * weights, stops when nothing gets better, and can go on exactly where it was stopped. Knows no
 * operator, no loss and no file.
 */
import type { Engine, Feeds, HostTensor } from '../engine/engine.js';
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
import { type GradualPruning, zeroLike } from './gradual.js';
import { RateGuard, type Restart } from './rate-guard.js';
import { learningRateAt, type ScheduleOptions } from './schedule.js';
import type { TrainingStep } from './step.js';
import { type BatchFeeds, StepRunner } from './step-runner.js';
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
  /** Epochs that are worse than the best one after which it stops. Default never. */
  readonly patience?: number | undefined;
  /** The error for weights that became no numbers where a lower rate would not help. */
  readonly explain?:
    | ((broken: readonly string[], feeds: Feeds, step: number) => Promise<Error | undefined>)
    | undefined;
  readonly checkpoint?: CheckpointOptions | undefined;
  /** Whether many steps go into one call of the runtime, see StepRunner. Default false. */
  readonly severalSteps?: boolean | undefined;
  readonly engine: Engine;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
  /** Called after every epoch. */
  readonly onEpoch?: ((row: EpochRow) => void) | undefined;
  /** Weights whose entries leave while it trains. */
  readonly pruning?: GradualPruning | undefined;
  /** Called when training begins again at a lower rate. */
  readonly onRestart?: ((restart: Restart) => void) | undefined;
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
  /** Falls to a lower rate. */
  readonly restarts: readonly Restart[];
  /** Steps that a checkpoint had done before. */
  readonly resumedAt: number;
}

/**
 * @throws PareError `quality` when the loss is no number any more, `aborted` on the signal; the
 *   last checkpoint stays then
 */
export async function runLoop(request: LoopRequest): Promise<LoopResult> {
  const runner = await StepRunner.open(request.step, request.engine, request.severalSteps);
  try {
    return await new Loop(request, runner).run();
  } finally {
    await runner.release();
  }
}

/** One call of the runtime takes about this long: it can be neither seen into nor stopped. */
const callMs = 500;
const mostAtOnce = 32;

class Loop {
  readonly #request: LoopRequest;
  readonly #runner: StepRunner;
  #stepMs = Number.POSITIVE_INFINITY;
  #lossSum = 0;
  readonly #guard: RateGuard;
  #secondsBefore = 0;
  #history: EpochRow[] = [];
  #startScore: number | null = null;
  #best: BestWeights | undefined;

  constructor(request: LoopRequest, runner: StepRunner) {
    this.#request = request;
    this.#runner = runner;
    const { epochs, samples, schedule } = request;
    this.#guard = new RateGuard(schedule, epochs, samples.stepsPerEpoch);
  }

  get #step(): number {
    return this.#runner.steps;
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
        const score = validate && row ? await validate(this.#weights()) : null;
        if (!row || this.#isWorse(epoch, row.loss, score)) {
          if (this.#fallBack(row?.loss ?? null)) {
            epoch = -1;
            continue;
          }
          if (!row) throw this.#diverged();
        }
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
      restarts: this.#guard.restarts,
      resumedAt,
    };
  }

  /** Steps of an epoch from where it stands; undefined when the loss is no number any more. */
  async #epoch(epoch: number, steps: number, tell: (detail: string) => void) {
    const { samples, checkpoint, signal } = this.#request;
    const schedule = { ...this.#request.schedule, learningRate: this.#guard.rate };
    const first = this.#step - epoch * samples.stepsPerEpoch;
    const end = (epoch + 1) * samples.stepsPerEpoch;
    const start = performance.now();
    const seconds = () => this.#secondsBefore + (performance.now() - start) / 1000;
    const every = checkpoint?.everySteps ?? Number.POSITIVE_INFINITY;
    const batches = samples.epoch(epoch, first);
    let learningRate = 0;
    try {
      let group = await this.#gather(batches, this.#stepsAtOnce(this.#step, end, every));
      while (group.length > 0) {
        throwIfAborted(signal);
        const count = group.length / this.#request.step.accumulate;
        const rates = Array.from({ length: count }, (_, at) =>
          learningRateAt(this.#step + at, steps, schedule),
        );
        learningRate = rates.at(-1)!;
        this.#prune();
        const begin = performance.now();
        const running = this.#train(group, rates);
        // The next samples are prepared here while the runtime computes in its own thread.
        const following = this.#step + count;
        const [isNumber, next] = await Promise.all([
          running,
          this.#gather(batches, this.#stepsAtOnce(following, end, every)),
        ]);
        if (!isNumber) return undefined;
        this.#stepMs = (performance.now() - begin) / count;
        group = next;
        const inEpoch = this.#step - epoch * samples.stepsPerEpoch;
        tell(`loss ${(this.#lossSum / inEpoch).toPrecision(4)}`);
        if (checkpoint && this.#step < end && this.#step % every === 0) await this.#save(seconds());
      }
    } finally {
      await batches.return();
    }
    const loss = this.#lossSum / samples.stepsPerEpoch;
    const row = { epoch: epoch + 1, loss, learningRate, seconds: seconds() };
    this.#lossSum = 0;
    this.#secondsBefore = 0;
    return row;
  }

  /**
   * As many as take about half a second, up to the next checkpoint, the end of the epoch, or the
   * next step before which weights leave.
   */
  #stepsAtOnce(from: number, end: number, every: number): number {
    const { pruning } = this.#request;
    const left = Math.min(
      end - from,
      every - (from % every),
      (pruning?.nextDue(from) ?? end) - from,
    );
    if (!this.#request.severalSteps) return Math.min(left, 1);
    return Math.min(left, mostAtOnce, Math.max(1, Math.floor(callMs / this.#stepMs)));
  }

  /** What the next steps are fed with. */
  async #gather(batches: AsyncGenerator<TrainingBatch>, steps: number): Promise<BatchFeeds[]> {
    const { step, targetsOf } = this.#request;
    const group: BatchFeeds[] = [];
    while (group.length < steps * step.accumulate) {
      const { done, value } = await batches.next();
      if (done) break;
      group.push({ ...value.feeds, ...(await targetsOf(value)) });
    }
    return group;
  }

  /** One step per rate; false when a loss is no number. */
  async #train(group: readonly BatchFeeds[], rates: readonly number[]): Promise<boolean> {
    const isFirst = this.#step === 0;
    const losses = await this.#runner.run(group, rates);
    if (isFirst) await this.#explain(group[0]!);
    for (const loss of losses) {
      if (!Number.isFinite(loss)) return false;
      this.#lossSum += loss;
      this.#guard.see(loss);
    }
    return true;
  }

  /** An infinite gradient shows in the weights first; one look behind the first step is cheap. */
  async #explain(feeds: BatchFeeds): Promise<void> {
    const { explain, step } = this.#request;
    const { state } = this.#runner;
    const broken = [...step.results].filter(([, input]) => !isAllFinite(state[input]!));
    if (!explain || broken.length === 0) return;
    const names = broken.map(([weight]) => weight);
    const error = await explain(names, feeds, this.#step);
    if (error) throw error;
  }

  /** What leaves before this step, and what belongs to it: moments and means. */
  #prune(): void {
    const { pruning, step } = this.#request;
    if (!pruning?.isDue(this.#step)) return;
    const state = { ...this.#runner.state };
    for (const [name, weight] of pruning.leave(this.#step, state)) {
      for (const input of step.own.get(name)!) state[input] = zeroLike(state[input]!, weight);
    }
    this.#runner.state = state;
  }

  #isWorse(epoch: number, loss: number, score: number | null): boolean {
    // Weights that leave raise the loss too.
    if (this.#request.pruning) return false;
    const isLower = score === null || score < this.#startScore!;
    return isLower && this.#guard.isWorse(epoch, loss);
  }

  /** Back to the first step, at a lower rate; false when that was done often enough. */
  #fallBack(loss: number | null): boolean {
    const restart = this.#guard.fallBack(loss);
    if (!restart) return false;
    this.#runner.restart();
    this.#lossSum = 0;
    this.#secondsBefore = 0;
    this.#history = [];
    // The student itself is what everything is compared with.
    if (this.#startScore !== null) this.#best = undefined;
    if (this.#startScore !== null) this.#keepIfBetter(0, this.#startScore);
    this.#request.onRestart?.(restart);
    return true;
  }

  #diverged(): PareError {
    const { learningRate } = this.#request.schedule;
    return new PareError('quality', `train: the loss is no number in step ${this.#step + 1}`, {
      hint: `the weights left the range of float32, at rates from ${learningRate} down to ${this.#guard.rate.toPrecision(3)}: lower --lr, clip gradients, or --freeze what is before a Sqrt or Log of zero, whose gradient has no bound`,
    });
  }

  #weights(): Weights {
    const { results } = this.#request.step;
    return Object.fromEntries(
      Array.from(results, ([weight, input]) => [weight, this.#runner.state[input]!]),
    );
  }

  #keepIfBetter(epoch: number, score: number): void {
    // What has not lost all its entries yet is no result.
    if (this.#step <= (this.#request.pruning?.lastStep ?? -1)) return;
    // Of equal scores the later one has seen more; but what training does not make better stays.
    const best = this.#best;
    if (best && (best.epoch === 0 ? score <= best.score : score < best.score)) return;
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
        ...this.#guard.state,
        seconds,
        history: this.#history,
        startScore: this.#startScore,
        state: this.#runner.state,
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
    this.#runner.steps = found.step;
    this.#lossSum = found.lossSum;
    this.#guard.state = found;
    this.#secondsBefore = found.seconds;
    this.#history = [...found.history];
    this.#startScore = found.startScore;
    this.#runner.state = found.state;
    this.#best = found.best;
    return found.step;
  }
}

/**
 * Notices a learning rate that is too high and lowers it. Judged once, behind the warm-up, when the
 * highest rate has been met: earlier every rate looks harmless, later a good one has made up for
 * its first steps. What is compared is the mean of ten steps and not of one: of a student that is
 * nearly right already, batches differ by more than training could spoil.
 */
import { type ScheduleOptions, warmupSteps } from './schedule.js';

/** How often training begins again at a lower rate, and how much lower. */
const restartLimit = 3;
const restartFactor = 1 / 4;
/** How much higher the loss behind the warm-up is than at the start, to be worse. */
const worseLoss = 1.5;
const mostOpening = 10;

/** The warm-up made it worse, or the loss was no number: it began again at a lower rate. */
export interface Restart {
  /** Highest rates, before and after. */
  readonly from: number;
  readonly to: number;
  /** Of the first steps, ten at most; null where there was none before it was no number. */
  readonly startLoss: number | null;
  /** Mean of the epoch in which the warm-up ended; null where the loss was no number. */
  readonly loss: number | null;
}

/** What a checkpoint keeps of it. */
export interface RateState {
  /** Losses of the first steps, at the lower half of the rates of the warm-up. */
  readonly opening: readonly number[];
  /** What was given up before them. */
  readonly restarts: readonly Restart[];
}

export class RateGuard {
  readonly #highest: number;
  readonly #openingSteps: number;
  /** The first epoch that ends with the highest rate behind it, from 0. */
  readonly #judged: number;
  #opening: number[] = [];
  #restarts: Restart[] = [];

  constructor(
    schedule: Pick<ScheduleOptions, 'learningRate' | 'warmup'>,
    epochs: number,
    stepsPerEpoch: number,
  ) {
    const rising = warmupSteps(epochs * stepsPerEpoch, schedule);
    this.#highest = schedule.learningRate;
    this.#openingSteps = Math.max(1, Math.min(mostOpening, Math.floor(rising / 2)));
    this.#judged = Math.max(0, Math.ceil(rising / stepsPerEpoch) - 1);
  }

  /** The highest rate of the schedule as it is now. */
  get rate(): number {
    return this.#restarts.at(-1)?.to ?? this.#highest;
  }

  get restarts(): readonly Restart[] {
    return this.#restarts;
  }

  get state(): RateState {
    return { opening: this.#opening, restarts: this.#restarts };
  }

  set state({ opening, restarts }: RateState) {
    this.#opening = [...opening];
    this.#restarts = [...restarts];
  }

  /** The loss of a step, in their order. */
  see(loss: number): void {
    if (this.#opening.length < this.#openingSteps) this.#opening.push(loss);
  }

  /** Whether the mean loss of this epoch, from 0, is so much worse that the rate must be too high. */
  isWorse(epoch: number, loss: number): boolean {
    return epoch === this.#judged && loss > worseLoss * this.#startLoss!;
  }

  /** A lower rate from now on; undefined when that was done often enough. */
  fallBack(loss: number | null): Restart | undefined {
    if (this.#restarts.length === restartLimit) return undefined;
    const from = this.rate;
    const restart = { from, to: from * restartFactor, startLoss: this.#startLoss, loss };
    this.#restarts.push(restart);
    this.#opening = [];
    return restart;
  }

  /** Mean over the first steps; null where there was none. */
  get #startLoss(): number | null {
    const { length } = this.#opening;
    return length > 0 ? this.#opening.reduce((sum, loss) => sum + loss, 0) / length : null;
  }
}

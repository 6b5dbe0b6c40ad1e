/**
 * The speed of a task and the time it has left, smoothed: recent steps count more than old ones,
 * with a memory that grows with the task, so that the estimate of a long task does not jump.
 */

/** Samples closer than this are put together: short intervals measure the clock. */
const sampleMs = 200;
const shortestMemoryMs = 5000;

export class RateMeter {
  readonly #startedAt: number;
  #sampledAt: number;
  #sampled = 0;
  /** Steps per millisecond; undefined before the first sample. */
  #rate: number | undefined;

  constructor(startedAt: number) {
    this.#startedAt = startedAt;
    this.#sampledAt = startedAt;
  }

  update(done: number, now: number): void {
    const passed = now - this.#sampledAt;
    if (passed < sampleMs || done <= this.#sampled) return;
    const current = (done - this.#sampled) / passed;
    const memory = Math.max(shortestMemoryMs, (now - this.#startedAt) / 4);
    const weight = 1 - Math.exp(-passed / memory);
    this.#rate = this.#rate === undefined ? current : this.#rate + weight * (current - this.#rate);
    this.#sampledAt = now;
    this.#sampled = done;
  }

  /** Milliseconds until `total`, or undefined while nothing is known. */
  remainingMs(total: number, now: number): number | undefined {
    if (this.#rate === undefined) return undefined;
    const atLastSample = (total - this.#sampled) / this.#rate;
    return Math.max(0, atLastSample - (now - this.#sampledAt));
  }
}

/**
 * A host for tests: streams that keep what was written, a clock and signals in the test's hand.
 */
import { Writable } from 'node:stream';
import type { Clock, Host, HostStream } from './host.js';

export class TestStream extends Writable implements HostStream {
  text = '';
  /** Set to make the next writes fail, for example with EPIPE. */
  failure: NodeJS.ErrnoException | undefined;
  readonly isTTY: boolean;
  readonly columns = 80;

  constructor(isTTY = false) {
    super({ autoDestroy: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (!this.failure) this.text += chunk.toString();
    done(this.failure);
  }
}

export class TestClock implements Clock {
  time = 0;
  readonly #timers = new Set<{ ms: number; at: number; run: () => void }>();

  now = () => this.time;
  every = (ms: number, run: () => void) => {
    const timer = { ms, at: this.time + ms, run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  };

  /** Lets the time pass in steps of 100 ms. */
  advance(ms: number): void {
    for (const end = this.time + ms; this.time < end; ) {
      this.time = Math.min(end, this.time + 100);
      for (const timer of [...this.#timers]) {
        if (timer.at > this.time) continue;
        timer.at = this.time + timer.ms;
        timer.run();
      }
    }
  }

  get running(): number {
    return this.#timers.size;
  }
}

export class TestHost implements Host {
  readonly stdout: TestStream;
  readonly stderr: TestStream;
  readonly env: Record<string, string> = {};
  readonly clock = new TestClock();
  readonly cwd: string;
  readonly exits: number[] = [];
  readonly #signal = new Set<() => void>();
  readonly #unhandled = new Set<(error: unknown) => void>();

  constructor(options: { cwd?: string; isTTY?: boolean } = {}) {
    this.cwd = options.cwd ?? '/nonexistent';
    this.stdout = new TestStream(options.isTTY);
    this.stderr = new TestStream(options.isTTY);
  }

  onSignal(listener: () => void) {
    this.#signal.add(listener);
    return () => this.#signal.delete(listener);
  }

  onUnhandled(listener: (error: unknown) => void) {
    this.#unhandled.add(listener);
    return () => this.#unhandled.delete(listener);
  }

  exitNow(code: number): void {
    this.exits.push(code);
  }

  killNow(): void {
    this.exits.push(130);
  }

  /** Ctrl-C. */
  interrupt(): void {
    for (const listener of this.#signal) listener();
  }

  reject(error: unknown): void {
    for (const listener of this.#unhandled) listener(error);
  }

  get listeners(): number {
    return this.#signal.size + this.#unhandled.size;
  }
}

/**
 * Writing to a stream whose reader may have gone (`pare inspect model.onnx | head -1`): a broken
 * pipe is remembered and what follows is dropped, without an error.
 */
import type { Writable } from 'node:stream';
import { messageOf, PareError } from '../errors.js';

export class StreamWriter {
  readonly #stream: Writable;
  readonly #onError = (error: NodeJS.ErrnoException) => this.#fail(error);
  #broken = false;
  #error: NodeJS.ErrnoException | undefined;
  readonly #onBroken: () => void;

  /** `onBroken` is called once, when the reader has gone. */
  constructor(stream: Writable, onBroken: () => void = () => {}) {
    this.#stream = stream;
    this.#onBroken = onBroken;
    stream.on('error', this.#onError);
  }

  /** True when the reader has gone. */
  get broken(): boolean {
    return this.#broken;
  }

  write(data: string | Uint8Array): void {
    if (this.#broken || this.#error) return;
    this.#stream.write(data);
  }

  /** Resolves when everything is with the system. Throws `io` when it could not be written. */
  async flush(): Promise<void> {
    if (!this.#broken && !this.#error && !this.#stream.destroyed) {
      await new Promise<void>((done) => this.#stream.write('', () => done()));
      // A stream reports its error after the callback of the write that failed.
      await new Promise<void>((done) => setImmediate(done));
    }
    if (this.#error) {
      throw new PareError('io', `cannot write the output: ${messageOf(this.#error)}`, {
        cause: this.#error,
      });
    }
  }

  /** Stops listening; the stream itself stays open. */
  release(): void {
    this.#stream.off('error', this.#onError);
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (error.code !== 'EPIPE') {
      this.#error ??= error;
    } else if (!this.#broken) {
      this.#broken = true;
      this.#onBroken();
    }
  }
}

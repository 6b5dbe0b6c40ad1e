/**
 * The near end's queue, whatever carries the messages: one request at a time goes to the worker,
 * the others wait and can be cancelled, and when the worker dies or is closed all of them are told.
 * Knows no platform.
 */
import { messageOf, PareError, throwIfAborted } from '../../errors.js';
import type { RequestOptions } from './channel.js';
import type { FromWorker, Kind, Protocol, ToWorker } from './protocol.js';
import { runtimeError } from './runtime-error.js';

interface Pending {
  readonly message: { readonly kind: Kind; readonly id: number };
  readonly options: RequestOptions;
  readonly resolve: (value: never) => void;
  readonly reject: (error: PareError) => void;
  readonly unlisten: () => void;
}

export interface Carrier {
  readonly post: (message: ToWorker, transfer: ArrayBuffer[]) => void;
  /** Called with true when a request is sent, with false when none is under way or waits. */
  readonly onBusy?: (busy: boolean) => void;
}

export class RequestQueue {
  readonly #carrier: Carrier;
  readonly #queue: Pending[] = [];
  #current: Pending | undefined;
  #nextId = 1;
  #closing: Promise<void> | undefined;
  #dead: PareError | undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  get closed(): boolean {
    return this.#closing !== undefined || this.#dead !== undefined;
  }

  request<K extends Kind>(
    kind: K,
    request: Protocol[K]['request'],
    options: RequestOptions,
  ): Promise<Protocol[K]['reply']> {
    throwIfAborted(options.signal);
    if (this.#closing !== undefined) throw closedError(options.label);
    if (this.#dead !== undefined) throw this.#dead;
    return this.#enqueue(kind, request, options);
  }

  /** Rejects what waits, lets the worker close after what is under way, then calls `end`. */
  close(end: () => Promise<void>): Promise<void> {
    this.#closing ??= (async () => {
      for (const pending of this.#queue.splice(0)) {
        pending.unlisten();
        pending.reject(closedError(pending.options.label));
      }
      if (this.#dead === undefined) await this.#enqueue('close', {}, { label: 'close' });
      await end();
    })();
    return this.#closing;
  }

  receive(message: FromWorker): void {
    if (message.kind !== 'reply' && message.kind !== 'error') return;
    if (message.id !== this.#current?.message.id) return;
    this.#settle((pending) => {
      if (message.kind === 'reply') pending.resolve(message.value as never);
      else if (pending.options.signal?.aborted) pending.reject(abortedError(pending.options));
      else pending.reject(runtimeError(pending.options.label, message.message));
    });
  }

  /** The worker is gone: everything that waits, and whatever comes later, fails with the error. */
  fail(error: PareError): void {
    this.#dead ??= error;
    const waiting = this.#queue.splice(0);
    if (this.#current !== undefined) waiting.unshift(this.#current);
    this.#current = undefined;
    for (const pending of waiting) {
      pending.unlisten();
      // The answer to `close` may be lost when the thread ends at once, and that is fine.
      if (pending.message.kind === 'close') pending.resolve(null as never);
      else pending.reject(this.#dead);
    }
  }

  #enqueue<K extends Kind>(
    kind: K,
    request: Protocol[K]['request'],
    options: RequestOptions,
  ): Promise<Protocol[K]['reply']> {
    return new Promise<Protocol[K]['reply']>((resolve, reject) => {
      const { signal } = options;
      const id = this.#nextId++;
      const onAbort = () => this.#abort(pending);
      const pending: Pending = {
        message: { ...request, kind, id },
        options,
        resolve: resolve as (value: never) => void,
        reject,
        unlisten: () => signal?.removeEventListener('abort', onAbort),
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(pending);
      this.#sendNext();
    });
  }

  #sendNext(): void {
    if (this.#current !== undefined) return;
    const next = this.#queue.shift();
    this.#carrier.onBusy?.(next !== undefined);
    if (next === undefined) return;
    this.#current = next;
    try {
      this.#carrier.post(next.message as ToWorker, [...(next.options.transfer ?? [])]);
    } catch (error) {
      this.#settle((pending) => pending.reject(runtimeError(next.options.label, messageOf(error))));
    }
  }

  #settle(how: (pending: Pending) => void): void {
    const pending = this.#current;
    if (pending === undefined) return;
    this.#current = undefined;
    pending.unlisten();
    how(pending);
    this.#sendNext();
  }

  #abort(pending: Pending): void {
    const at = this.#queue.indexOf(pending);
    if (at >= 0) {
      this.#queue.splice(at, 1);
      pending.reject(abortedError(pending.options));
    } else if (pending === this.#current) {
      this.#carrier.post({ kind: 'cancel', id: pending.message.id }, []);
    }
  }
}

function abortedError({ label, signal }: RequestOptions): PareError {
  return new PareError('aborted', `${label}: cancelled`, { cause: signal?.reason });
}

function closedError(label: string): PareError {
  return new PareError('engine', `${label}: the engine is closed`, {
    hint: 'create another engine; close() ends all sessions of the old one',
  });
}

/**
 * The main thread's end of the worker: starts it, sends one request at a time, and sees to it
 * that neither an idle worker keeps the process alive nor an ending process tears down a run.
 * Knows the protocol and nothing of models or tensors.
 */
import { Worker } from 'node:worker_threads';
import { messageOf, PareError, throwIfAborted } from '../../errors.js';
import type { Channel, RequestOptions } from '../remote/channel.js';
import type { FromWorker, Kind, Protocol, ToWorker } from '../remote/protocol.js';
import { runtimeError } from '../remote/runtime-error.js';
import type { RuntimeName, RuntimeStart, WorkerStart } from './runtime-start.js';

const BUSY = 0;
const STOPPING = 1;
/** How long an ending process waits for the native call of a worker. */
const exitWaitMs = 30_000;

/** Hosts whose worker is alive. One exit listener serves them all. */
const alive = new Set<WorkerHost>();
let listening = false;

interface Pending {
  readonly message: { readonly kind: Kind; readonly id: number };
  readonly options: RequestOptions;
  readonly resolve: (value: never) => void;
  readonly reject: (error: PareError) => void;
  readonly unlisten: () => void;
}

export class WorkerHost implements Channel {
  readonly version: string;
  readonly #worker: Worker;
  readonly #state: Int32Array<SharedArrayBuffer>;
  readonly #exited: Promise<void>;
  readonly #queue: Pending[] = [];
  #current: Pending | undefined;
  #nextId = 1;
  #closing: Promise<void> | undefined;
  #dead: PareError | undefined;

  /**
   * Starts the thread and loads the runtime in it.
   * Throws `unsupported` when its package is missing and `engine` when it does not load.
   */
  static async start(runtime: RuntimeStart): Promise<WorkerHost> {
    const state = new SharedArrayBuffer(8);
    const workerData: WorkerStart = { ...runtime, state };
    const failed = (message: string) => notLoaded(runtime.runtime, message);
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      name: 'pare-engine',
      workerData,
      // Flags of the main program, such as a debugger or a loader, are not meant for it.
      execArgv: [],
      // The runtime recurses by the length of the program's command line when it starts: with a
      // few hundred file names it overflows a worker's default stack of 4 MB.
      resourceLimits: { stackSizeMb: 64 },
    });
    const version = await new Promise<string>((resolve, reject) => {
      worker.once('message', (message: FromWorker) => {
        if (message.kind === 'ready') resolve(message.version);
        else if (message.kind !== 'failed') reject(failed(message.kind));
        else if (message.missing) reject(notInstalled(runtime.runtime));
        else reject(failed(message.message));
      });
      worker.on('error', (error) => reject(failed(messageOf(error))));
      worker.once('exit', (code) => reject(failed(`the worker ended with code ${code}`)));
    }).catch(async (error) => {
      await worker.terminate();
      throw error;
    });
    return new WorkerHost(worker, new Int32Array(state), version);
  }

  private constructor(worker: Worker, state: Int32Array<SharedArrayBuffer>, version: string) {
    this.#worker = worker;
    this.#state = state;
    this.version = version;
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        alive.delete(this);
        this.#fail(new PareError('engine', 'engine: the worker ended unexpectedly'));
        resolve();
      });
    });
    worker.on('error', (error) => this.#fail(runtimeError('engine', messageOf(error))));
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.unref();
    alive.add(this);
    if (!listening) {
      listening = true;
      process.on('exit', stopAll);
    }
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

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const pending of this.#queue.splice(0)) {
        pending.unlisten();
        pending.reject(closedError(pending.options.label));
      }
      if (this.#dead === undefined) await this.#enqueue('close', {}, { label: 'close' });
      // The thread must be waited for, or the process could end while it frees memory.
      this.#worker.ref();
      await this.#exited;
    })();
    return this.#closing;
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
    if (next === undefined) {
      this.#worker.unref();
      return;
    }
    this.#worker.ref();
    this.#current = next;
    try {
      this.#worker.postMessage(next.message as ToWorker, [...(next.options.transfer ?? [])]);
    } catch (error) {
      this.#settle((pending) => pending.reject(runtimeError(next.options.label, messageOf(error))));
    }
  }

  #receive(message: FromWorker): void {
    if (message.kind !== 'reply' && message.kind !== 'error') return;
    if (message.id !== this.#current?.message.id) return;
    this.#settle((pending) => {
      if (message.kind === 'reply') pending.resolve(message.value as never);
      else if (pending.options.signal?.aborted) pending.reject(abortedError(pending.options));
      else pending.reject(runtimeError(pending.options.label, message.message));
    });
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
      this.#worker.postMessage({ kind: 'cancel', id: pending.message.id } satisfies ToWorker);
    }
  }

  #fail(error: PareError): void {
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

  /** For the exit of the process: lets the native call under way end, and no other begin. */
  stopNative(): void {
    Atomics.store(this.#state, STOPPING, 1);
    Atomics.wait(this.#state, BUSY, 1, exitWaitMs);
  }
}

function stopAll(): void {
  for (const host of alive) host.stopNative();
}

function abortedError({ label, signal }: RequestOptions): PareError {
  return new PareError('aborted', `${label}: cancelled`, { cause: signal?.reason });
}

function closedError(label: string): PareError {
  return new PareError('engine', `${label}: the engine is closed`, {
    hint: 'create another engine; close() ends all sessions of the old one',
  });
}

const installCommands: Readonly<Record<RuntimeName, string>> = Object.freeze({
  'onnxruntime-node':
    'npm install onnxruntime-node@1.30 --ignore-scripts (its install script is only for CUDA)',
  'onnxruntime-web': 'npm install onnxruntime-web@1.30',
});

function notInstalled(runtime: RuntimeName): PareError {
  return new PareError('unsupported', `engine: the package ${runtime} is not installed`, {
    hint: installCommands[runtime],
  });
}

function notLoaded(runtime: RuntimeName, message: string): PareError {
  return new PareError('engine', `engine: ${runtime} does not load: ${message}`, {
    hint: installCommands[runtime],
  });
}

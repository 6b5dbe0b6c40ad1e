/**
 * The main thread's end of the worker: starts it, and sees to it that neither an idle worker
 * keeps the process alive nor an ending process tears down a run.
 * Knows the protocol and nothing of models or tensors.
 */
import { Worker } from 'node:worker_threads';
import { messageOf, PareError } from '../../errors.js';
import type { FromWorker } from '../remote/protocol.js';
import { QueuedChannel } from '../remote/queued-channel.js';
import { RequestQueue } from '../remote/request-queue.js';
import { runtimeError } from '../remote/runtime-error.js';
import type { RuntimeName, RuntimeStart, WorkerStart } from './runtime-start.js';

const BUSY = 0;
const STOPPING = 1;
/** How long an ending process waits for the native call of a worker. */
const exitWaitMs = 30_000;

/** Hosts whose worker is alive. One exit listener serves them all. */
const alive = new Set<WorkerHost>();
let listening = false;

export class WorkerHost extends QueuedChannel {
  readonly #worker: Worker;
  readonly #state: Int32Array<SharedArrayBuffer>;
  readonly #exited: Promise<void>;

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
    const queue = new RequestQueue({
      post: (message, transfer) => worker.postMessage(message, transfer),
      onBusy: (busy) => (busy ? worker.ref() : worker.unref()),
    });
    super(version, queue);
    this.#worker = worker;
    this.#state = state;
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        alive.delete(this);
        this.queue.fail(new PareError('engine', 'engine: the worker ended unexpectedly'));
        resolve();
      });
    });
    worker.on('error', (error) => this.queue.fail(runtimeError('engine', messageOf(error))));
    worker.on('message', (message: FromWorker) => this.queue.receive(message));
    worker.unref();
    alive.add(this);
    if (!listening) {
      listening = true;
      process.on('exit', stopAll);
    }
  }

  close(): Promise<void> {
    return this.queue.close(() => {
      // The thread must be waited for, or the process could end while it frees memory.
      this.#worker.ref();
      return this.#exited;
    });
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

/**
 * The engine over onnxruntime-web in Node: the WASM kernels that browsers run, for measuring and
 * checking what is made for them. Not a way to run models fast in Node: the native kernels of
 * node.ts are 3 to 5 times faster. The runtime lives in a worker thread, as there.
 *
 * The number of threads is fixed when the WASM module starts, so there is one worker per number,
 * started when a session first asks for it.
 */

import { PareError } from '../errors.js';
import type {
  Engine,
  Feeds,
  ModelSource,
  PeakMemory,
  ProfileRow,
  SessionOptions,
  Target,
} from './engine.js';
import { readModel } from './node/model-files.js';
import { measurePeakMemory } from './node/peak-memory.js';
import { WorkerHost } from './node/worker-host.js';
import type { Channel } from './remote/channel.js';
import { readTrace } from './remote/profile.js';
import type { WireSessionOptions } from './remote/protocol.js';
import {
  checkThreads,
  commonOptions,
  type OpenModel,
  RemoteEngine,
} from './remote/remote-engine.js';
import { toWire } from './remote/remote-session.js';

export interface WasmEngineOptions {
  /**
   * Threads of the WASM module; default 1, which is what a page without cross-origin isolation
   * has (https://web.dev/articles/cross-origin-isolation-guide).
   */
  readonly threads?: number | undefined;
}

/**
 * Starts a worker with onnxruntime-web, an optional peer dependency. Works without a network: the
 * package brings its .wasm. Close the engine when done.
 *
 * @throws PareError `unsupported` when onnxruntime-web is not installed, `engine` when it does not
 *   load, `usage` for a number of threads that is none
 * @example
 * const engine = await createWasmEngine({ threads: 1 });
 * const session = await engine.createSession({ path: 'model.onnx' });
 * const [times] = await engine.time([{ session, feeds }], { warmup: 3, rounds: 50 });
 * await engine.close();
 */
export async function createWasmEngine(options: WasmEngineOptions = {}): Promise<Engine> {
  const threads = options.threads ?? 1;
  checkThreads(threads, maxThreads);
  return new WasmEngine(await WorkerHost.start({ runtime, threads }), threads);
}

const runtime = 'onnxruntime-web';
/** Each is a worker of its own, started together with the module. */
const maxThreads = 64;
/**
 * The heap ends at 4 GiB, and while a session is made it holds the file, the weights read from it
 * and their packed form: 1 GB of MatMul weights loads, 1.5 GB is an error of the runtime.
 */
const maxModelBytes = 2 ** 31 - 1;

class WasmEngine extends RemoteEngine {
  readonly name = runtime;
  readonly target: Target = 'wasm';
  readonly #hosts = new Map<number, Promise<WorkerHost>>();
  #closed = false;

  constructor(host: WorkerHost, threads: number) {
    super(host.version, threads);
    this.#hosts.set(threads, Promise.resolve(host));
  }

  /** The WASM build has no files; its profiler prints the trace. */
  async profile(
    model: ModelSource,
    feeds: Feeds,
    options: SessionOptions & { readonly runs?: number } = {},
  ): Promise<ProfileRow[]> {
    const { printed, rounds } = await this.runProfiled(model, feeds, options, {});
    return readTrace(printed, rounds);
  }

  /** Always throws `unsupported`. */
  async optimized(): Promise<Uint8Array> {
    throw new PareError('unsupported', 'optimized: the WASM build cannot write its graph', {
      hint: 'it has no file system; profile() lists the operators that ran, fused ones included',
    });
  }

  async peakMemory(
    model: ModelSource,
    feeds: Feeds,
    options: SessionOptions & { readonly runs?: number } = {},
  ): Promise<PeakMemory> {
    const { runs = 3, signal, threads = this.threads } = options;
    const ortOptions = this.sessionOptions(options);
    const { wire } = toWire(feeds);
    return await measurePeakMemory({
      runtime,
      threads,
      model,
      feeds: wire,
      ortOptions,
      runs,
      signal,
    });
  }

  protected async channelFor(threads: number): Promise<Channel> {
    let host = this.#hosts.get(threads);
    if (host === undefined) {
      if (this.#closed) {
        throw new PareError('engine', 'create session: the engine is closed', {
          hint: 'create another engine',
        });
      }
      host = WorkerHost.start({ runtime, threads });
      this.#hosts.set(threads, host);
      host.catch(() => this.#hosts.delete(threads));
    }
    return await host;
  }

  protected async closeChannels(): Promise<void> {
    this.#closed = true;
    const started = await Promise.allSettled(this.#hosts.values());
    await Promise.all(
      started.map((host) => (host.status === 'fulfilled' ? host.value.close() : undefined)),
    );
  }

  protected openModel(model: ModelSource): Promise<OpenModel> {
    return readModel(model, maxModelBytes);
  }

  protected sessionOptions(options: SessionOptions): WireSessionOptions {
    const threads = options.threads ?? this.threads;
    checkThreads(threads, maxThreads);
    return { ...commonOptions(options, threads), executionProviders: ['wasm'] };
  }
}

/**
 * The engine over onnxruntime-web in Node: the WASM kernels that browsers run, for measuring and
 * checking what is made for them. Not a way to run models fast in Node: the native kernels of
 * node.ts are 3 to 5 times faster. The runtime lives in a worker thread, as there.
 */
import type { Engine, Feeds, ModelSource, PeakMemory, SessionOptions } from './engine.js';
import { readModel } from './node/model-files.js';
import { measurePeakMemory } from './node/peak-memory.js';
import { WorkerHost } from './node/worker-host.js';
import { maxWasmModelBytes } from './remote/model-in-memory.js';
import { checkThreads, type OpenModel } from './remote/remote-engine.js';
import { toWire } from './remote/remote-session.js';
import { maxWasmThreads, WasmEngine } from './remote/wasm-engine.js';

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
  checkThreads(threads, maxWasmThreads);
  return new NodeWasmEngine(await startWorker(threads), threads, startWorker);
}

const runtime = 'onnxruntime-web';
const startWorker = (threads: number) => WorkerHost.start({ runtime, threads });

class NodeWasmEngine extends WasmEngine {
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

  protected openModel(model: ModelSource): Promise<OpenModel> {
    return readModel(model, maxWasmModelBytes);
  }
}

/**
 * The engine over onnxruntime-web in a page: the WASM kernels, in a worker, so that the page stays
 * awake while a model runs. Nothing is uploaded anywhere; models come as bytes.
 */
import { PareError } from '../errors.js';
import type { Engine, ModelSource } from './engine.js';
import { maxWasmModelBytes, modelInMemory } from './remote/model-in-memory.js';
import { checkThreads, type OpenModel } from './remote/remote-engine.js';
import { maxWasmThreads, WasmEngine } from './remote/wasm-engine.js';
import { PageWorker } from './web/page-worker.js';

export interface WebEngineOptions {
  /**
   * Threads of the WASM module, default 1. More than one needs a page that is cross-origin
   * isolated (https://web.dev/articles/cross-origin-isolation-guide).
   */
  readonly threads?: number | undefined;
}

/**
 * Starts a worker with onnxruntime-web, an optional peer dependency. Close the engine when done.
 *
 * @throws PareError `engine` when it does not load, `usage` for a number of threads that is none,
 *   `unsupported` for more than one where the page is not isolated
 * @example
 * const engine = await createWebEngine();
 * const model = await loadModel(blobSource(file));
 * const { model: small } = await quantize(model, 'dynamic', {}, { engine });
 * await engine.close();
 */
export async function createWebEngine(options: WebEngineOptions = {}): Promise<Engine> {
  const threads = options.threads ?? 1;
  const start = async (count: number) => {
    checkThreads(count, maxWasmThreads);
    if (count > 1 && !globalThis.crossOriginIsolated) {
      throw new PareError(
        'unsupported',
        `engine: ${count} threads in a page that is not isolated`,
        {
          hint: 'use 1, or serve the page with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp',
        },
      );
    }
    return await PageWorker.start(count);
  };
  return new WebEngine(await start(threads), threads, start);
}

class WebEngine extends WasmEngine {
  protected async openModel(model: ModelSource): Promise<OpenModel> {
    if ('path' in model) {
      throw new PareError('unsupported', 'create session: a page has no files', {
        file: model.path,
        hint: 'give its bytes: { parts: [new Uint8Array(await file.arrayBuffer())] }',
      });
    }
    return modelInMemory(model, maxWasmModelBytes);
  }
}

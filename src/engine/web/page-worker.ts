/**
 * A page's end of the worker: starts it and carries its messages. Knows the protocol and nothing
 * of models or tensors.
 */
import { PareError } from '../../errors.js';
import type { FromWorker } from '../remote/protocol.js';
import { QueuedChannel } from '../remote/queued-channel.js';
import { RequestQueue } from '../remote/request-queue.js';
import { runtimeError } from '../remote/runtime-error.js';

export class PageWorker extends QueuedChannel {
  readonly #worker: Worker;

  /** Throws `engine` when the worker or the runtime in it does not load. */
  static async start(threads: number): Promise<PageWorker> {
    // Bundlers follow exactly this form of URL and worker, and bring the worker's modules along.
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    try {
      const version = await new Promise<string>((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
          if (data.kind === 'ready') resolve(data.version);
          else reject(notLoaded(data.kind === 'failed' ? data.message : data.kind));
        };
        worker.onerror = (event) => reject(notLoaded(event.message || 'its worker does not start'));
        worker.postMessage({ threads });
      });
      return new PageWorker(worker, version);
    } catch (error) {
      worker.terminate();
      throw error;
    }
  }

  private constructor(worker: Worker, version: string) {
    const queue = new RequestQueue({
      post: (message, transfer) => worker.postMessage(message, transfer),
    });
    super(version, queue);
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.queue.receive(data);
    worker.onerror = (event) => this.queue.fail(runtimeError('engine', event.message));
  }

  close(): Promise<void> {
    return this.queue.close(async () => this.#worker.terminate());
  }
}

function notLoaded(message: string): PareError {
  return new PareError('engine', `engine: onnxruntime-web does not load: ${message}`, {
    hint: 'install onnxruntime-web@1.30 beside pare, and serve its .wasm files from where its module lies (docs/library.md)',
  });
}

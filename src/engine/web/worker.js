/**
 * The worker of a page in which onnxruntime-web lives: loads it when told with how many threads,
 * then serves requests. Plain JavaScript with checked types, like ../remote/serve.js, so that a
 * page can load the same file from src/ under a development server and from dist/.
 */
/**
 * @import { FromWorker } from '../remote/protocol.js'
 */
import { messageOf, serve } from '../remote/serve.js';

/** @param {FromWorker} message @param {ArrayBuffer[]} [transfer] */
const post = (message, transfer = []) => self.postMessage(message, { transfer });

/** What the runtime printed: without files it prints its profiles and logs. @type {string[]} */
const printed = [];

/** @param {number} threads */
async function load(threads) {
  // Where there is a Float16Array, ORT gives float16 in it; without one it uses Uint16Array, which
  // is what the protocol carries.
  Reflect.deleteProperty(globalThis, 'Float16Array');
  // The WASM module binds the console when it starts, and nothing else in this worker prints.
  for (const level of /** @type {const} */ (['log', 'info', 'warn', 'error', 'debug'])) {
    console[level] = (...args) => printed.push(args.map(String).join(' '));
  }
  // The build with the CPU provider only: 14 MB to load instead of 28 with WebGPU.
  const ort = await import('onnxruntime-web/wasm');
  ort.env.logLevel = 'fatal';
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  return ort;
}

self.addEventListener(
  'message',
  async ({ data: { threads } }) => {
    try {
      const ort = await load(threads);
      const receive = serve({
        ort,
        post,
        guard: (call) => call(),
        takePrinted: () => printed.splice(0).join(''),
        end: () => self.close(),
      });
      self.addEventListener('message', ({ data }) => receive(data));
      const { web, common } = ort.env.versions;
      post({ kind: 'ready', version: web ?? common });
    } catch (error) {
      post({ kind: 'failed', message: messageOf(error), missing: false });
    }
  },
  { once: true },
);

/**
 * The thread in which a runtime lives: loads it, serves requests, and sees to it that an ending
 * process does not tear native code down. Plain JavaScript for the reason given in
 * ../remote/serve.js.
 */
/**
 * @import { FromWorker, ToWorker } from '../remote/protocol.js'
 * @import { WorkerStart } from './runtime-start.js'
 */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, serve } from '../remote/serve.js';
import { loadRuntime } from './load-runtime.js';

const start = /** @type {WorkerStart} */ (workerData);
const port = /** @type {NonNullable<typeof parentPort>} */ (parentPort);

// Words of the shared state. The worker raises BUSY around native code; the main thread raises
// STOPPING when the process ends, and waits for BUSY to fall: a thread that is torn down inside
// a native call aborts the whole process. WASM may be torn down at any moment.
const BUSY = 0;
const STOPPING = 1;
const state = new Int32Array(start.state);
let busyDepth = 0;

/**
 * @template T
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
async function native(call) {
  if (busyDepth++ === 0) Atomics.store(state, BUSY, 1);
  try {
    if (Atomics.load(state, STOPPING) === 1) throw new Error('the process is ending');
    return await call();
  } finally {
    if (--busyDepth === 0) {
      Atomics.store(state, BUSY, 0);
      Atomics.notify(state, BUSY);
    }
  }
}

/** @param {FromWorker} message @param {ArrayBuffer[]} [transfer] */
const post = (message, transfer = []) => port.postMessage(message, transfer);

try {
  const { ort, version, takePrinted } = await loadRuntime(start);
  const receive = serve({
    ort,
    post,
    guard: start.runtime === 'onnxruntime-node' ? native : (call) => call(),
    takePrinted,
    end: () => port.close(),
  });
  port.on('message', receive);
  post({ kind: 'ready', version });
} catch (error) {
  const code = /** @type {{ code?: unknown }} */ (error)?.code;
  const message = messageOf(error);
  const missing = code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${start.runtime}'`);
  post({ kind: 'failed', message, missing });
}

/**
 * Loads a JavaScript build of ONNX Runtime into this thread, silent and ready for float16.
 * Plain JavaScript for the reason given in ../remote/serve.js.
 */
/**
 * @import { InferenceSessionFactory, TensorConstructor } from 'onnxruntime-common'
 * @import { RuntimeStart } from './runtime-start.js'
 */
import fs from 'node:fs';

/**
 * @typedef {object} LoadedRuntime
 * @property {{ InferenceSession: InferenceSessionFactory, Tensor: TensorConstructor }} ort
 * @property {string} version
 * @property {() => string} takePrinted What the runtime printed since the last time.
 */

/** @param {RuntimeStart} start @returns {Promise<LoadedRuntime>} */
export async function loadRuntime({ runtime, threads }) {
  // Where there is a Float16Array (Node 24 on), ORT takes and gives float16 in it, but the native
  // side reads such an array as empty (1.30). Without one it uses Uint16Array, as on Node 20.
  Reflect.deleteProperty(globalThis, 'Float16Array');
  return runtime === 'onnxruntime-node' ? await loadNative() : await loadWasm(threads);
}

async function loadNative() {
  const ort = await import('onnxruntime-node');
  // Errors arrive as exceptions; nothing of the runtime may write on the user's stderr.
  ort.env.logLevel = 'fatal';
  const { node, common } = ort.env.versions;
  return { ort, version: node ?? common, takePrinted: () => '' };
}

/**
 * In Node the package resolves to a build with the CPU provider only, the kernels of
 * `onnxruntime-web/wasm`. It reads its .wasm from its own folder: no network, no path to set.
 * @param {number} threads
 */
async function loadWasm(threads) {
  // The WASM build has no files: it prints profiles and logs, in Node straight to file descriptors.
  // The module object is this thread's own, and nothing else in it prints.
  /** @type {string[]} */
  const printed = [];
  const { writeSync } = fs;
  fs.writeSync = (/** @type {any[]} */ ...args) => {
    if (args[0] !== 1 && args[0] !== 2) return Reflect.apply(writeSync, fs, args);
    printed.push(String(args[1]));
    return Buffer.byteLength(String(args[1]));
  };
  const ort = await import('onnxruntime-web');
  ort.env.logLevel = 'fatal';
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.proxy = false;
  const { web, common } = ort.env.versions;
  const takePrinted = () => printed.splice(0).join('');
  return { ort, version: web ?? common, takePrinted };
}

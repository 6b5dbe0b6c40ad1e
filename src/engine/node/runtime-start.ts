/**
 * What a worker thread or child process is started with. Types only.
 */

/** The package that holds the runtime. */
export type RuntimeName = 'onnxruntime-node' | 'onnxruntime-web';

export interface RuntimeStart {
  readonly runtime: RuntimeName;
  /** Fixed at the start in WASM; onnxruntime-node takes it per session and leaves this alone. */
  readonly threads: number;
}

export interface WorkerStart extends RuntimeStart {
  /** An Int32Array of two words, see BUSY and STOPPING in worker.js. */
  readonly state: SharedArrayBuffer;
}

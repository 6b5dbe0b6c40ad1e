/**
 * The thread in which onnxruntime-node runs: sessions by number, one request at a time.
 * Plain JavaScript with checked types, because a worker's file is loaded by Node itself, from
 * src/ under the test runner as from dist/, and Node 20 loads no TypeScript. Keep it small:
 * whatever can be done on the main thread is done there.
 */
/**
 * @import { InferenceSession, Tensor } from 'onnxruntime-common'
 * @import { FromWorker, Protocol, Request, ToWorker, WirePort, WireTensor, WireTensors, WorkerStart } from './protocol.js'
 */
import { parentPort, workerData } from 'node:worker_threads';

// Words of the shared state. The worker raises BUSY around native code; the main thread raises
// STOPPING when the process ends, and waits for BUSY to fall: a thread that is torn down inside
// a native call aborts the whole process.
const BUSY = 0;
const STOPPING = 1;
const state = new Int32Array(/** @type {WorkerStart} */ (workerData).state);

const port = /** @type {NonNullable<typeof parentPort>} */ (parentPort);
/** @type {Map<number, { session: InferenceSession, profiled: boolean }>} */
const sessions = new Map();
/** @type {Set<number>} */
const cancelled = new Set();
let nextSession = 1;
let busyDepth = 0;

/** @param {FromWorker} message @param {ArrayBuffer[]} [transfer] */
const post = (message, transfer = []) => port.postMessage(message, transfer);

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

// Where there is a Float16Array (Node 24 on), ORT takes and gives float16 in it, but its native side
// reads such an array as empty (1.30). Without one it uses Uint16Array, as on Node 20.
Reflect.deleteProperty(globalThis, 'Float16Array');

/** @type {typeof import('onnxruntime-node') | undefined} */
let ort;
try {
  ort = await import('onnxruntime-node');
  // Errors arrive as exceptions; nothing of the runtime may write on the user's stderr.
  ort.env.logLevel = 'fatal';
  post({ kind: 'ready', version: ort.env.versions.node ?? ort.env.versions.common });
} catch (error) {
  post({ kind: 'failed', message: messageOf(error) });
}

/** @type {{ [K in keyof Protocol]: (request: Protocol[K]['request'], id: number) => Promise<Protocol[K]['reply']> }} */
const handlers = {
  async create({ model, options }) {
    if (ort === undefined) throw new Error('onnxruntime-node is not loaded');
    const { InferenceSession } = ort;
    const create = () =>
      'path' in model
        ? InferenceSession.create(model.path, options)
        : InferenceSession.create(model.bytes, options);
    const session = await native(create);
    const number = nextSession++;
    sessions.set(number, { session, profiled: options.enableProfiling === true });
    return {
      session: number,
      inputs: session.inputMetadata.map(portOf),
      outputs: session.outputMetadata.map(portOf),
    };
  },

  async run({ session, feeds, fetches }) {
    const tensors = tensorsOf(feeds);
    const results = await native(() => sessionOf(session).run(tensors, fetches));
    /** @type {Record<string, WireTensor>} */
    const outputs = {};
    for (const [name, tensor] of Object.entries(results)) {
      outputs[name] = { type: tensor.type, dims: tensor.dims, data: dataOf(tensor) };
      tensor.dispose();
    }
    return outputs;
  },

  async time({ entries, warmup, rounds, maxMs }, id) {
    const prepared = entries.map((entry) => ({
      session: sessionOf(entry.session),
      feeds: tensorsOf(entry.feeds),
      times: /** @type {number[]} */ ([]),
    }));
    const started = performance.now();
    for (let round = -warmup; round < rounds; round++) {
      if (round > 0 && performance.now() - started >= maxMs) break;
      for (const { session, feeds, times } of prepared) {
        if (cancelled.has(id)) throw new Error('cancelled');
        await native(async () => {
          const begin = process.hrtime.bigint();
          const results = await session.run(feeds);
          const end = process.hrtime.bigint();
          if (round >= 0) times.push(Number(end - begin) / 1e6);
          for (const tensor of Object.values(results)) tensor.dispose();
        });
      }
    }
    return prepared.map(({ times }) => Float64Array.from(times));
  },

  async release({ session: number }) {
    await release(number);
    return null;
  },

  async close() {
    for (const number of [...sessions.keys()]) await release(number);
    return null;
  },
};

// One request after the other, in the order of arrival.
/** @type {Promise<void>} */
let last = Promise.resolve();
port.on('message', (/** @type {ToWorker} */ message) => {
  if (message.kind === 'cancel') cancelled.add(message.id);
  else last = last.then(() => answer(message));
});

/** @param {Request} request */
async function answer(request) {
  const { kind, id } = request;
  try {
    const handle = /** @type {(request: Request, id: number) => Promise<any>} */ (handlers[kind]);
    const value = await handle(request, id);
    post({ kind: 'reply', id, value }, buffersOf(kind === 'run' ? Object.values(value) : []));
  } catch (error) {
    post({ kind: 'error', id, message: messageOf(error) });
  }
  cancelled.delete(id);
  if (kind === 'close') port.close();
}

/** @param {number} number */
async function release(number) {
  const entry = sessions.get(number);
  if (entry === undefined) return;
  sessions.delete(number);
  if (entry.profiled) entry.session.endProfiling();
  await native(() => entry.session.release());
}

/** @param {number} number */
function sessionOf(number) {
  const entry = sessions.get(number);
  if (entry === undefined) throw new Error('the session is released');
  return entry.session;
}

/** @param {InferenceSession.ValueMetadata} metadata @returns {WirePort} */
function portOf(metadata) {
  if (!metadata.isTensor) return { name: metadata.name };
  return { name: metadata.name, type: metadata.type, dims: metadata.shape };
}

/** @param {WireTensors} feeds @returns {Record<string, Tensor>} */
function tensorsOf(feeds) {
  if (ort === undefined) throw new Error('onnxruntime-node is not loaded');
  const { Tensor } = ort;
  /** @type {Record<string, Tensor>} */
  const tensors = {};
  for (const [name, { type, dims, data }] of Object.entries(feeds)) {
    tensors[name] = new Tensor(type, data, dims);
  }
  return tensors;
}

/** @param {Tensor} tensor @returns {WireTensor['data']} */
function dataOf(tensor) {
  // ORT declares the data of each type by itself; all of them are on this side of the border.
  return /** @type {any} */ (tensor.data);
}

/** @param {WireTensor[]} tensors */
function buffersOf(tensors) {
  /** @type {Set<ArrayBuffer>} */
  const buffers = new Set();
  for (const { data } of tensors) {
    if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  }
  return [...buffers];
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

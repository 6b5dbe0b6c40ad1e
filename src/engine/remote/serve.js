/**
 * The far end: sessions by number and one request at a time, over any JavaScript build of ONNX
 * Runtime, which the platform's worker loads and hands in. Plain JavaScript with checked types,
 * because a worker's files are loaded by Node itself, from src/ under the test runner as from
 * dist/, and Node 20 loads no TypeScript. Keep it small: whatever can be done on the near end is
 * done there.
 */
/**
 * @import { InferenceSession, InferenceSessionFactory, Tensor, TensorConstructor } from 'onnxruntime-common'
 * @import { FromWorker, Protocol, Request, ToWorker, WirePort, WireTensor, WireTensors } from './protocol.js'
 */

/**
 * @typedef {object} Place What the worker's file provides.
 * @property {{ InferenceSession: InferenceSessionFactory, Tensor: TensorConstructor }} ort
 * @property {(message: FromWorker, transfer: ArrayBuffer[]) => void} post
 * @property {<T>(call: () => Promise<T>) => Promise<T>} guard Wraps every call into the runtime.
 * @property {() => string} takePrinted What the runtime printed since the last time.
 * @property {() => void} end Called after `close`.
 */

/** A run in WASM never leaves its task, so a cancellation must be given a turn to arrive. */
const listenEveryMs = 20;
const nextTask = () => new Promise((resolve) => setTimeout(resolve));

/**
 * @param {Place} place
 * @returns {(message: ToWorker) => void} to be called with every message that arrives
 */
export function serve({ ort, post, guard, takePrinted, end }) {
  const { InferenceSession, Tensor } = ort;
  /** @type {Map<number, { session: InferenceSession, profiled: boolean }>} */
  const sessions = new Map();
  /** @type {Set<number>} */
  const cancelled = new Set();
  let nextSession = 1;

  /** @type {{ [K in keyof Protocol]: (request: Protocol[K]['request'], id: number) => Promise<Protocol[K]['reply']> }} */
  const handlers = {
    async create({ model, options }) {
      const create = () =>
        'path' in model
          ? InferenceSession.create(model.path, options)
          : InferenceSession.create(model.bytes, options);
      const session = await guard(create);
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
      const results = await guard(() => sessionOf(session).run(tensors, fetches));
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
      let heard = started;
      for (let round = -warmup; round < rounds; round++) {
        if (round > 0 && performance.now() - started >= maxMs) break;
        for (const { session, feeds, times } of prepared) {
          if (performance.now() - heard >= listenEveryMs) {
            await nextTask();
            heard = performance.now();
          }
          if (cancelled.has(id)) throw new Error('cancelled');
          await guard(async () => {
            const begin = performance.now();
            const results = await session.run(feeds);
            const took = performance.now() - begin;
            if (round >= 0) times.push(took);
            for (const tensor of Object.values(results)) tensor.dispose();
          });
        }
      }
      return prepared.map(({ times }) => Float64Array.from(times));
    },

    async release({ session }) {
      return { printed: await release(session) };
    },

    async close() {
      for (const number of [...sessions.keys()]) await release(number);
      return null;
    },
  };

  /** @param {Request} request */
  async function answer(request) {
    const { kind, id } = request;
    try {
      const handle = /** @type {(request: Request, id: number) => Promise<any>} */ (handlers[kind]);
      const value = await handle(request, id);
      post({ kind: 'reply', id, value }, buffersOf(kind === 'run' ? Object.values(value) : []));
    } catch (error) {
      post({ kind: 'error', id, message: messageOf(error) }, []);
    }
    cancelled.delete(id);
    if (kind === 'close') end();
  }

  /** @param {number} number @returns {Promise<string>} the profile, where the runtime prints it */
  async function release(number) {
    const entry = sessions.get(number);
    if (entry === undefined) return '';
    sessions.delete(number);
    takePrinted();
    if (entry.profiled) entry.session.endProfiling();
    const printed = takePrinted();
    await guard(() => entry.session.release());
    return printed;
  }

  /** @param {number} number */
  function sessionOf(number) {
    const entry = sessions.get(number);
    if (entry === undefined) throw new Error('the session is released');
    return entry.session;
  }

  /** @param {WireTensors} feeds @returns {Record<string, Tensor>} */
  function tensorsOf(feeds) {
    /** @type {Record<string, Tensor>} */
    const tensors = {};
    for (const [name, { type, dims, data }] of Object.entries(feeds)) {
      tensors[name] = new Tensor(type, data, dims);
    }
    return tensors;
  }

  // One request after the other, in the order of arrival.
  /** @type {Promise<void>} */
  let last = Promise.resolve();
  return (message) => {
    if (message.kind === 'cancel') cancelled.add(message.id);
    else last = last.then(() => answer(message));
  };
}

/** @param {InferenceSession.ValueMetadata} metadata @returns {WirePort} */
function portOf(metadata) {
  if (!metadata.isTensor) return { name: metadata.name };
  return { name: metadata.name, type: metadata.type, dims: metadata.shape };
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
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

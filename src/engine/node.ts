/**
 * The engine over onnxruntime-node. Everything native happens in one worker thread, since a run
 * in onnxruntime-node blocks the event loop of its thread; this file turns calls into requests.
 * A call costs about 0.1 ms besides the run: two changes of thread, and a copy of the feeds.
 *
 * Idle threads: with the runtime's default they go on spinning after a run, and several live
 * sessions then fight for the cores. MobileNetV2 on two cores, ms per run: spinning 5 with one
 * session and 13 to 24 with three in turn; never spinning 6 to 8; spinning inside a run only
 * (`session.force_spinning_stop`) 5 with one and with three. So that is what all sessions use.
 */
import { readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PareError } from '../errors.js';
import type {
  Engine,
  EngineSession,
  Feeds,
  HostTensor,
  ModelSource,
  PeakMemory,
  PortInfo,
  ProfileRow,
  RunOptions,
  SessionOptions,
  Target,
  TimingOptions,
} from './engine.js';
import { type OpenModel, openModel } from './node/model-files.js';
import { measurePeakMemory } from './node/peak-memory.js';
import { readProfile } from './node/profile.js';
import type { WirePort, WireSessionOptions, WireTensors } from './node/protocol.js';
import { createTempFolder, type TempFolder } from './node/temp-files.js';
import { WorkerHost } from './node/worker-host.js';
import { checkFeeds, copyForOrt, dataTypeOfOrt, describePort, fromOrt } from './ort-types.js';

export interface NodeEngineOptions {
  /** Intra-op threads of a session; default the cores that this process may use. */
  readonly threads?: number | undefined;
}

/**
 * Starts a worker with onnxruntime-node. Close the engine when done: it holds native memory.
 * An engine that is forgotten does not keep the process alive.
 *
 * @throws PareError `engine` when onnxruntime-node is not installed or does not load
 * @example
 * const engine = await createNodeEngine({ threads: 1 });
 * const session = await engine.createSession({ path: 'model.onnx' });
 * const { logits } = await session.run({ image: hostTensor('float', [1, 3, 224, 224], pixels) });
 * await engine.close();
 */
export async function createNodeEngine(options: NodeEngineOptions = {}): Promise<Engine> {
  const threads = options.threads ?? availableParallelism();
  checkThreads(threads);
  return new NodeEngine(await WorkerHost.start(), threads);
}

class NodeEngine implements Engine {
  readonly name = 'onnxruntime-node';
  readonly target: Target = 'node';
  readonly version: string;
  readonly threads: number;
  readonly #host: WorkerHost;
  readonly #sessions = new Set<NodeSession>();

  constructor(host: WorkerHost, threads: number) {
    this.#host = host;
    this.version = host.version;
    this.threads = threads;
  }

  async createSession(model: ModelSource, options: SessionOptions = {}): Promise<NodeSession> {
    return await this.#create(model, options, {});
  }

  async time(
    entries: readonly { readonly session: EngineSession; readonly feeds: Feeds }[],
    options: TimingOptions,
  ): Promise<Float64Array[]> {
    const wired = entries.map(({ session, feeds }) => {
      if (!(session instanceof NodeSession) || !this.#sessions.has(session)) {
        throw new PareError('engine', 'time: the session is released or of another engine');
      }
      return session.toEntry(feeds);
    });
    const { warmup, rounds, maxMs = Number.POSITIVE_INFINITY, signal } = options;
    return await this.#host.request(
      'time',
      { entries: wired.map(({ entry }) => entry), warmup, rounds, maxMs },
      { label: 'time', signal, transfer: wired.flatMap(({ transfer }) => transfer) },
    );
  }

  async profile(
    model: ModelSource,
    feeds: Feeds,
    options: SessionOptions & { readonly runs?: number } = {},
  ): Promise<ProfileRow[]> {
    // The first run pays for memory patterns and page faults; readProfile leaves it out.
    const rounds = (options.runs ?? 5) + 1;
    const folder = await createTempFolder();
    try {
      const session = await this.#create(model, options, {
        enableProfiling: true,
        profileFilePrefix: join(folder.path, 'profile'),
      });
      try {
        await this.time([{ session, feeds }], { warmup: 0, rounds, signal: options.signal });
      } finally {
        // The runtime writes the profile when the session ends.
        await session.release();
      }
      return await readProfile(folder.path, rounds);
    } finally {
      await folder.remove();
    }
  }

  async optimized(model: ModelSource, options: SessionOptions = {}): Promise<Uint8Array> {
    const folder = await createTempFolder();
    try {
      const path = join(folder.path, 'optimized.onnx');
      const weights = (await bytesOf(model)) > maxDumpBytes ? externalWeights : {};
      const config = { ...weights, ...options.config };
      const dump = { optimizedModelFilePath: path };
      const session = await this.#create(model, { ...options, config }, dump);
      await session.release();
      const bytes = await readFile(path);
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    } finally {
      await folder.remove();
    }
  }

  async peakMemory(
    model: ModelSource,
    feeds: Feeds,
    options: SessionOptions & { readonly runs?: number } = {},
  ): Promise<PeakMemory> {
    const ortOptions = this.#ortOptions(options);
    const { runs = 3, signal } = options;
    return await measurePeakMemory({ model, feeds: toWire(feeds).wire, ortOptions, runs, signal });
  }

  async close(): Promise<void> {
    await this.#host.close();
    const sessions = [...this.#sessions];
    this.#sessions.clear();
    for (const session of sessions) await session.forget();
  }

  async #create(
    model: ModelSource,
    options: SessionOptions,
    extras: Partial<WireSessionOptions>,
  ): Promise<NodeSession> {
    const { signal } = options;
    const ortOptions = { ...this.#ortOptions(options), ...extras };
    const opened = await openModel(model);
    try {
      const reply = await this.#host.request(
        'create',
        { model: opened.model, options: { ...ortOptions, ...opened.options } },
        { label: 'create session', signal, transfer: opened.transfer },
      );
      const session = new NodeSession(this.#host, reply, opened.folder, (ended) =>
        this.#sessions.delete(ended),
      );
      this.#sessions.add(session);
      return session;
    } catch (error) {
      await opened.folder?.remove();
      throw atFile(error, opened);
    }
  }

  #ortOptions(options: SessionOptions): WireSessionOptions {
    const threads = options.threads ?? this.threads;
    checkThreads(threads);
    return {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: options.optimization ?? 'all',
      logSeverityLevel: 4,
      extra: { 'session.force_spinning_stop': '1', ...options.config },
    };
  }
}

class NodeSession implements EngineSession {
  readonly inputs: readonly PortInfo[];
  readonly outputs: readonly PortInfo[];
  readonly #host: WorkerHost;
  readonly #number: number;
  readonly #folder: TempFolder | undefined;
  readonly #onEnd: (session: NodeSession) => void;
  #released: Promise<void> | undefined;

  constructor(
    host: WorkerHost,
    reply: { session: number; inputs: WirePort[]; outputs: WirePort[] },
    folder: TempFolder | undefined,
    onEnd: (session: NodeSession) => void,
  ) {
    this.#host = host;
    this.#number = reply.session;
    this.#folder = folder;
    this.#onEnd = onEnd;
    this.inputs = reply.inputs.map(toPort);
    this.outputs = reply.outputs.map(toPort);
  }

  async run(
    feeds: Feeds,
    fetches?: readonly string[],
    options: RunOptions = {},
  ): Promise<Record<string, HostTensor>> {
    const { entry, transfer } = this.toEntry(feeds);
    const names = this.outputs.map(({ name }) => name);
    const wanted = fetches ?? names;
    if (wanted.length === 0) return {};
    const missing = wanted.find((name) => !names.includes(name));
    if (missing !== undefined) {
      throw new PareError('engine', `run: the model has no output "${missing}"`, {
        hint: `its outputs are ${this.outputs.map(describePort).join(', ')}`,
      });
    }
    const results = await this.#host.request(
      'run',
      { ...entry, fetches: wanted },
      { label: 'run', signal: options.signal, transfer },
    );
    return Object.fromEntries(
      Object.entries(results).map(([name, parts]) => [name, fromOrt(parts)]),
    );
  }

  release(): Promise<void> {
    this.#released ??= (async () => {
      this.#onEnd(this);
      // A closed engine has freed the session already.
      if (!this.#host.closed) {
        await this.#host.request('release', { session: this.#number }, { label: 'release' });
      }
      await this.#folder?.remove();
    })();
    return this.#released;
  }

  /** For the engine that closes: the worker has freed the session. */
  async forget(): Promise<void> {
    this.#released ??= Promise.resolve();
    await this.#folder?.remove();
  }

  /** The checked and copied feeds with the number of the session, as a request carries them. */
  toEntry(feeds: Feeds): {
    entry: { session: number; feeds: WireTensors };
    transfer: ArrayBuffer[];
  } {
    if (this.#released !== undefined) {
      throw new PareError('engine', 'run: the session is released', {
        hint: 'create another session, or release this one later',
      });
    }
    checkFeeds(this.inputs, feeds);
    const { wire, transfer } = toWire(feeds);
    return { entry: { session: this.#number, feeds: wire }, transfer };
  }
}

function toPort({ name, type, dims }: WirePort): PortInfo {
  return { name, dataType: dataTypeOfOrt(type), dims };
}

function toWire(feeds: Feeds): { wire: WireTensors; transfer: ArrayBuffer[] } {
  const wire = Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [name, copyForOrt(name, tensor)]),
  );
  const transfer = Object.values(wire).flatMap(({ data }) =>
    ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : [],
  );
  return { wire, transfer };
}

function checkThreads(threads: number): void {
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) return;
  throw new PareError('usage', `engine: threads is ${threads}, not a whole number from 1 to 1024`);
}

/** Above this the dump leaves its weights in a file of their own: a protobuf ends at 2 GiB. */
const maxDumpBytes = 1_000_000_000;
const externalWeights = {
  'session.optimized_model_external_initializers_file_name': 'optimized.weights',
  'session.optimized_model_external_initializers_min_size_in_bytes': '1024',
};

/** Size of a model with its weights; that of external data beside a path is not known here. */
async function bytesOf(model: ModelSource): Promise<number> {
  if ('path' in model) return (await stat(model.path).catch(() => ({ size: 0 }))).size;
  const files = [model.parts, ...(model.externalData?.values() ?? [])];
  return files.flat().reduce((sum, part) => sum + part.byteLength, 0);
}

function atFile(error: unknown, { model, folder }: OpenModel): unknown {
  if (!(error instanceof PareError) || !('path' in model) || folder !== undefined) return error;
  const { code, message, hint, where, cause } = error;
  return new PareError(code, message, { ...where, file: model.path, hint, cause });
}

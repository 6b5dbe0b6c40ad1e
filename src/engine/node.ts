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
import type {
  Engine,
  Feeds,
  ModelSource,
  PeakMemory,
  ProfileRow,
  SessionOptions,
  Target,
} from './engine.js';
import { openModel } from './node/model-files.js';
import { measurePeakMemory } from './node/peak-memory.js';
import { readProfileFile } from './node/profile-file.js';
import { createTempFolder } from './node/temp-files.js';
import { WorkerHost } from './node/worker-host.js';
import type { Channel } from './remote/channel.js';
import { readTrace } from './remote/profile.js';
import type { WireSessionOptions } from './remote/protocol.js';
import {
  checkThreads,
  commonOptions,
  type OpenModel,
  RemoteEngine,
} from './remote/remote-engine.js';
import { toWire } from './remote/remote-session.js';

export interface NodeEngineOptions {
  /** Intra-op threads of a session; default the cores that this process may use. */
  readonly threads?: number | undefined;
}

/**
 * Starts a worker with onnxruntime-node. Close the engine when done: it holds native memory.
 * An engine that is forgotten does not keep the process alive.
 *
 * @throws PareError `unsupported` when onnxruntime-node is not installed, `engine` when it does
 *   not load, `usage` for a number of threads that is none
 * @example
 * const engine = await createNodeEngine({ threads: 1 });
 * const session = await engine.createSession({ path: 'model.onnx' });
 * const { logits } = await session.run({ image: hostTensor('float', [1, 3, 224, 224], pixels) });
 * await engine.close();
 */
export async function createNodeEngine(options: NodeEngineOptions = {}): Promise<Engine> {
  const threads = options.threads ?? availableParallelism();
  checkThreads(threads, maxThreads);
  return new NodeEngine(await WorkerHost.start({ runtime, threads }), threads);
}

const runtime = 'onnxruntime-node';
const maxThreads = 1024;

class NodeEngine extends RemoteEngine {
  readonly name = runtime;
  readonly target: Target = 'node';
  readonly #host: WorkerHost;

  constructor(host: WorkerHost, threads: number) {
    super(host.version, threads);
    this.#host = host;
  }

  async profile(
    model: ModelSource,
    feeds: Feeds,
    options: SessionOptions & { readonly runs?: number } = {},
  ): Promise<ProfileRow[]> {
    const folder = await createTempFolder();
    try {
      const { rounds } = await this.runProfiled(model, feeds, options, {
        profileFilePrefix: join(folder.path, 'profile'),
      });
      return readTrace(await readProfileFile(folder.path), rounds);
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
      const session = await this.create(model, { ...options, config }, dump);
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

  /** One worker serves every number of threads: a session has its own. */
  protected async channelFor(): Promise<Channel> {
    return this.#host;
  }

  protected closeChannels(): Promise<void> {
    return this.#host.close();
  }

  protected openModel(model: ModelSource): Promise<OpenModel> {
    return openModel(model);
  }

  protected sessionOptions(options: SessionOptions): WireSessionOptions {
    const threads = options.threads ?? this.threads;
    checkThreads(threads, maxThreads);
    const common = commonOptions(options, threads);
    return { ...common, extra: { 'session.force_spinning_stop': '1', ...common.extra } };
  }
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

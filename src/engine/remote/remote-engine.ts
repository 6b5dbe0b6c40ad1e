/**
 * What every engine over a JavaScript build of ONNX Runtime has in common: the runtime lives in a
 * worker, and this end keeps the books of its sessions and turns calls into requests. An engine
 * adds how a worker is started, how a model is brought to it, and what else its runtime can do.
 * Knows no platform: the engine of the browser builds on it too.
 */
import { PareError } from '../../errors.js';
import type {
  Engine,
  EngineSession,
  Feeds,
  ModelSource,
  ProfileRow,
  SessionOptions,
  Target,
  TimingOptions,
} from '../engine.js';
import type { Channel } from './channel.js';
import type { Released, WireModel, WireSessionOptions } from './protocol.js';
import { RemoteSession } from './remote-session.js';

/** A model on its way to the worker. */
export interface OpenModel {
  readonly model: WireModel;
  readonly options: Pick<WireSessionOptions, 'externalData'>;
  /** Buffers made for it, that may move to the worker. */
  readonly transfer: readonly ArrayBuffer[];
  /** To be called when the session is released, not before: weights may be mapped from there. */
  readonly dispose: (() => Promise<void>) | undefined;
}

export type ProfileOptions = SessionOptions & { readonly runs?: number };

export abstract class RemoteEngine implements Engine {
  abstract readonly name: string;
  abstract readonly target: Target;
  readonly version: string;
  readonly threads: number;
  readonly #sessions = new Set<RemoteSession>();

  protected constructor(version: string, threads: number) {
    this.version = version;
    this.threads = threads;
  }

  /** The worker for sessions with this many threads. */
  protected abstract channelFor(threads: number): Promise<Channel>;
  protected abstract closeChannels(): Promise<void>;
  protected abstract openModel(model: ModelSource): Promise<OpenModel>;
  protected abstract sessionOptions(options: SessionOptions): WireSessionOptions;
  abstract profile(
    model: ModelSource,
    feeds: Feeds,
    options?: ProfileOptions,
  ): Promise<ProfileRow[]>;
  abstract optimized(model: ModelSource, options?: SessionOptions): Promise<Uint8Array>;

  async createSession(model: ModelSource, options: SessionOptions = {}): Promise<EngineSession> {
    return await this.create(model, options, {});
  }

  async time(
    entries: readonly { readonly session: EngineSession; readonly feeds: Feeds }[],
    options: TimingOptions,
  ): Promise<Float64Array[]> {
    const [first, ...others] = entries.map(({ session }) => this.#own(session).channel);
    if (first === undefined) return [];
    if (others.some((channel) => channel !== first)) {
      throw new PareError('unsupported', 'time: the sessions differ in their threads', {
        hint: `${this.name} has one worker per number of threads; time each group by itself`,
      });
    }
    const wired = entries.map(({ session, feeds }) => this.#own(session).toEntry(feeds));
    const { warmup, rounds, maxMs = Number.POSITIVE_INFINITY, signal } = options;
    return await first.request(
      'time',
      { entries: wired.map(({ entry }) => entry), warmup, rounds, maxMs },
      { label: 'time', signal, transfer: wired.flatMap(({ transfer }) => transfer) },
    );
  }

  async close(): Promise<void> {
    await this.closeChannels();
    const sessions = [...this.#sessions];
    this.#sessions.clear();
    for (const session of sessions) await session.forget();
  }

  protected async create(
    model: ModelSource,
    options: SessionOptions,
    extras: Partial<WireSessionOptions>,
  ): Promise<RemoteSession> {
    const { signal, threads = this.threads } = options;
    const ortOptions = { ...this.sessionOptions(options), ...extras };
    const opened = await this.openModel(model);
    try {
      const channel = await this.channelFor(threads);
      const reply = await channel.request(
        'create',
        { model: opened.model, options: { ...ortOptions, ...opened.options } },
        { label: 'create session', signal, transfer: opened.transfer },
      );
      const session = new RemoteSession({
        channel,
        reply,
        dispose: opened.dispose,
        onEnd: (ended) => this.#sessions.delete(ended),
      });
      this.#sessions.add(session);
      return session;
    } catch (error) {
      await opened.dispose?.();
      throw atFile(error, model);
    }
  }

  /** Runs with the profiler on. `rounds` counts the first run, which pays for page faults, too. */
  protected async runProfiled(
    model: ModelSource,
    feeds: Feeds,
    options: ProfileOptions,
    extras: Partial<WireSessionOptions>,
  ): Promise<Released & { readonly rounds: number }> {
    const rounds = (options.runs ?? 5) + 1;
    const session = await this.create(model, options, { enableProfiling: true, ...extras });
    try {
      await this.time([{ session, feeds }], { warmup: 0, rounds, signal: options.signal });
    } finally {
      // The runtime writes the profile when the session ends.
      await session.release();
    }
    return { ...(await session.end()), rounds };
  }

  #own(session: EngineSession): RemoteSession {
    if (session instanceof RemoteSession && this.#sessions.has(session)) return session;
    throw new PareError('engine', 'time: the session is released or of another engine');
  }
}

/** The options that mean the same to every build of the runtime. */
export function commonOptions(options: SessionOptions, threads: number): WireSessionOptions {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: options.optimization ?? 'all',
    logSeverityLevel: 4,
    enableMemPattern: options.memoryPattern ?? true,
    extra: { ...options.config },
  };
}

/** Throws `usage` for a number of threads that is none, or more than the runtime is given. */
export function checkThreads(threads: number, most: number): void {
  if (Number.isInteger(threads) && threads >= 1 && threads <= most) return;
  throw new PareError(
    'usage',
    `engine: threads is ${threads}, not a whole number from 1 to ${most}`,
  );
}

/** Adds the path to an error of the runtime, which does not know it. */
function atFile(error: unknown, model: ModelSource): unknown {
  if (!(error instanceof PareError) || !('path' in model)) return error;
  if (error.code !== 'engine' || error.where.file !== undefined) return error;
  const { code, message, hint, where, cause } = error;
  return new PareError(code, message, { ...where, file: model.path, hint, cause });
}

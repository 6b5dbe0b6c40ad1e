/**
 * What the engines over onnxruntime-web have in common, in Node and in pages: the number of
 * threads is fixed when the WASM module starts, so there is one worker per number, started when a
 * session first asks for it. How a worker starts is the platform's business.
 */
import { PareError } from '../../errors.js';
import type { Feeds, ModelSource, ProfileRow, SessionOptions, Target } from '../engine.js';
import type { Channel } from './channel.js';
import { readTrace } from './profile.js';
import type { WireSessionOptions } from './protocol.js';
import { checkThreads, commonOptions, RemoteEngine } from './remote-engine.js';

export type StartChannel = (threads: number) => Promise<Channel>;

/** Each is a worker of its own, started together with the module. */
export const maxWasmThreads = 64;

export abstract class WasmEngine extends RemoteEngine {
  readonly name = 'onnxruntime-web';
  readonly target: Target = 'wasm';
  readonly #start: StartChannel;
  readonly #channels = new Map<number, Promise<Channel>>();
  #closed = false;

  constructor(first: Channel, threads: number, start: StartChannel) {
    super(first.version, threads);
    this.#start = start;
    this.#channels.set(threads, Promise.resolve(first));
  }

  /** The WASM build has no files; its profiler prints the trace. */
  async profile(
    model: ModelSource,
    feeds: Feeds,
    options: SessionOptions & { readonly runs?: number } = {},
  ): Promise<ProfileRow[]> {
    const { printed, rounds } = await this.runProfiled(model, feeds, options, {});
    return readTrace(printed, rounds);
  }

  /** Always throws `unsupported`. */
  async optimized(): Promise<Uint8Array> {
    throw new PareError('unsupported', 'optimized: the WASM build cannot write its graph', {
      hint: 'it has no file system; profile() lists the operators that ran, fused ones included',
    });
  }

  protected async channelFor(threads: number): Promise<Channel> {
    let channel = this.#channels.get(threads);
    if (channel === undefined) {
      if (this.#closed) {
        throw new PareError('engine', 'create session: the engine is closed', {
          hint: 'create another engine',
        });
      }
      channel = this.#start(threads);
      this.#channels.set(threads, channel);
      channel.catch(() => this.#channels.delete(threads));
    }
    return await channel;
  }

  protected async closeChannels(): Promise<void> {
    this.#closed = true;
    const started = await Promise.allSettled(this.#channels.values());
    await Promise.all(
      started.map((each) => (each.status === 'fulfilled' ? each.value.close() : undefined)),
    );
  }

  protected sessionOptions(options: SessionOptions): WireSessionOptions {
    const threads = options.threads ?? this.threads;
    checkThreads(threads, maxWasmThreads);
    return { ...commonOptions(options, threads), executionProviders: ['wasm'] };
  }
}

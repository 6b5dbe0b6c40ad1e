/**
 * A session that lives in a worker: checks and copies what goes in, names what comes out.
 * The engine that made it is told when it ends. Knows no platform.
 */
import { PareError } from '../../errors.js';
import type { EngineSession, Feeds, HostTensor, PortInfo, RunOptions } from '../engine.js';
import { checkFeeds, copyForOrt, dataTypeOfOrt, describePort, fromOrt } from '../ort-types.js';
import type { Channel } from './channel.js';
import type { Protocol, Released, WirePort, WireTensors } from './protocol.js';

export interface RemoteSessionParts {
  readonly channel: Channel;
  readonly reply: Protocol['create']['reply'];
  /** Frees what must stay as long as the session, such as a temporary folder. */
  readonly dispose: (() => Promise<void>) | undefined;
  readonly onEnd: (session: RemoteSession) => void;
}

export class RemoteSession implements EngineSession {
  readonly inputs: readonly PortInfo[];
  readonly outputs: readonly PortInfo[];
  readonly channel: Channel;
  readonly #number: number;
  readonly #dispose: (() => Promise<void>) | undefined;
  readonly #onEnd: (session: RemoteSession) => void;
  #ended: Promise<Released> | undefined;

  constructor({ channel, reply, dispose, onEnd }: RemoteSessionParts) {
    this.channel = channel;
    this.#number = reply.session;
    this.#dispose = dispose;
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
    const results = await this.channel.request(
      'run',
      { ...entry, fetches: wanted },
      { label: 'run', signal: options.signal, transfer },
    );
    return Object.fromEntries(
      Object.entries(results).map(([name, parts]) => [name, fromOrt(parts)]),
    );
  }

  async release(): Promise<void> {
    await this.end();
  }

  /** Releases, and tells what the runtime had left to say. */
  end(): Promise<Released> {
    this.#ended ??= (async () => {
      this.#onEnd(this);
      // A closed channel has freed the session already.
      const released = this.channel.closed
        ? nothing
        : await this.channel.request('release', { session: this.#number }, { label: 'release' });
      await this.#dispose?.();
      return released;
    })();
    return this.#ended;
  }

  /** For the engine that closes: the worker has freed the session. */
  async forget(): Promise<void> {
    this.#ended ??= Promise.resolve(nothing);
    await this.#dispose?.();
  }

  toEntry(feeds: Feeds) {
    if (this.#ended !== undefined) {
      throw new PareError('engine', 'run: the session is released', {
        hint: 'create another session, or release later',
      });
    }
    checkFeeds(this.inputs, feeds);
    const { wire, transfer } = toWire(feeds);
    return { entry: { session: this.#number, feeds: wire }, transfer };
  }
}

const nothing: Released = Object.freeze({ printed: '' });

/** Copies of the tensors, and their buffers, which may move to the worker. */
export function toWire(feeds: Feeds): { wire: WireTensors; transfer: ArrayBuffer[] } {
  const wire = Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [name, copyForOrt(name, tensor)]),
  );
  const transfer = Object.values(wire).flatMap(({ data }) =>
    ArrayBuffer.isView(data) ? [data.buffer as ArrayBuffer] : [],
  );
  return { wire, transfer };
}

function toPort({ name, type, dims }: WirePort): PortInfo {
  return { name, dataType: dataTypeOfOrt(type), dims };
}

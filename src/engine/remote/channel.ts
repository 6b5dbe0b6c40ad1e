/**
 * The near end of a worker: what the engine asks of whatever carries its requests. A thread of
 * Node implements it in node/worker-host.ts; nothing here knows a platform.
 */
import type { Kind, Protocol } from './protocol.js';

export interface RequestOptions {
  readonly transfer?: readonly ArrayBuffer[];
  readonly signal?: AbortSignal | undefined;
  /** What the request is about, as a prefix of its errors: 'run', 'create session'. */
  readonly label: string;
}

export interface Channel {
  /** The version of the runtime behind it. */
  readonly version: string;
  /** Whether it was closed or its worker died: all sessions behind it are gone. */
  readonly closed: boolean;
  /**
   * Sends a request when those before it are answered. An abort takes it out of the queue; once
   * it is sent, only `time` looks at an abort.
   */
  request<K extends Kind>(
    kind: K,
    request: Protocol[K]['request'],
    options: RequestOptions,
  ): Promise<Protocol[K]['reply']>;
  /** Waits for the request under way, rejects the others, frees all sessions, ends the worker. */
  close(): Promise<void>;
}

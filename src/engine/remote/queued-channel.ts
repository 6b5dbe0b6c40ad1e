/**
 * What all workers' near ends share: requests wait in a queue, and a closed queue is a closed
 * channel. How a worker starts and ends is the platform's business.
 */
import type { Channel, RequestOptions } from './channel.js';
import type { Kind, Protocol } from './protocol.js';
import type { RequestQueue } from './request-queue.js';

export abstract class QueuedChannel implements Channel {
  readonly version: string;
  protected readonly queue: RequestQueue;

  constructor(version: string, queue: RequestQueue) {
    this.version = version;
    this.queue = queue;
  }

  get closed(): boolean {
    return this.queue.closed;
  }

  request<K extends Kind>(
    kind: K,
    request: Protocol[K]['request'],
    options: RequestOptions,
  ): Promise<Protocol[K]['reply']> {
    return this.queue.request(kind, request, options);
  }

  abstract close(): Promise<void>;
}

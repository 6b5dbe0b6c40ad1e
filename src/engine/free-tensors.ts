/**
 * Gives the memory of tensors back at once. V8 counts the bytes of array buffers and answers a few
 * dozen MB of them with a full collection of its heap, however young they are: reading 12 MB of
 * activations per run cost 30 to 35 ms of CPU time a run so, twice the run itself (MobileNetV2).
 * For whoever reads large results run after run; all others may leave them to the collector.
 *
 * A buffer that moves to a port which nobody listens to is gone. ArrayBuffer.prototype.transfer
 * would say so by name; Node 20 does not have it.
 */
import type { HostTensor } from './engine.js';

let nowhere: MessagePort | undefined;

/**
 * The tensors must not be read after it: their arrays have no elements any more. Arrays that are
 * part of a larger buffer, or strings, stay as they are.
 *
 * @example
 * const results = await session.run(feeds);
 * use(results);
 * freeTensors(results);
 */
export function freeTensors(tensors: Readonly<Record<string, HostTensor>>): void {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of Object.values(tensors)) {
    if (!ArrayBuffer.isView(data)) continue;
    const { buffer } = data;
    const isWhole = data.byteLength === buffer.byteLength;
    if (isWhole && buffer instanceof ArrayBuffer) buffers.add(buffer);
  }
  nowhere ??= closedPort();
  nowhere.postMessage(undefined, [...buffers]);
}

function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
}

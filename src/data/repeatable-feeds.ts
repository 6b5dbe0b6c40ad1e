/**
 * Feeds that are asked for several times, as calibration does: decoding pictures anew in every
 * pass would cost more than running the model. Kept as far as they fit, made again beyond.
 */
import type { Feeds, PortInfo } from '../engine/engine.js';
import { batches } from './batches.js';
import type { Dataset } from './dataset.js';

/** Most bytes of feeds that stay in memory. */
const keptBytes = 256e6;

/**
 * One feed per sample, in the order of the indices, each time it is called.
 * @example
 * const samples = repeatableFeeds(dataset, session.inputs, indices);
 * for await (const feeds of samples()) await session.run(feeds);
 */
export function repeatableFeeds(
  dataset: Dataset,
  ports: readonly PortInfo[],
  indices: Uint32Array,
): () => AsyncGenerator<Feeds> {
  const kept: Feeds[] = [];
  let bytes = 0;
  return async function* () {
    // Another pass may run at the same time and keep more while this one yields.
    let at = 0;
    for (; at < kept.length; at++) yield kept[at]!;
    const rest = indices.subarray(at);
    if (rest.length === 0) return;
    for await (const { feeds } of batches(dataset, ports, { batchSize: 1, indices: rest })) {
      const size = bytesOf(feeds);
      if (kept.length === at && bytes + size <= keptBytes) {
        kept.push(feeds);
        bytes += size;
      }
      at++;
      yield feeds;
    }
  };
}

/** Class numbers of these samples in the order of the indices; undefined for one without. */
export function labelsOf(
  dataset: Dataset,
  indices: Uint32Array,
): () => AsyncGenerator<number | undefined> {
  return async function* () {
    for await (const { label } of dataset.samples(indices)) yield label;
  };
}

function bytesOf(feeds: Feeds): number {
  let bytes = 0;
  for (const { data } of Object.values(feeds)) {
    bytes += ArrayBuffer.isView(data) ? data.byteLength : 16 * data.length;
  }
  return bytes;
}

/**
 * Mixtures of two samples of a batch, so that few samples become many. What the original says of
 * them a student can learn from its teacher; a mixture is also as much of each class as it is of the
 * sample. Any floats can be mixed, pictures or not. Seeded by run, epoch and step, so that a resumed
 * run sees the same mixtures.
 * Sources: Zhang et al. 2017 (arXiv:1710.09412), with shares uniform in [0, 1]; without labels
 * Beyer et al. 2021 (arXiv:2106.05237).
 */
import * as z from 'zod/mini';
import type { Batch } from '../data/batches.js';
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { createRandom } from '../random.js';

export const mixupOptions = z.object({
  /** Share of the samples that another one of their batch is mixed into. In [0, 1]. */
  mixup: z._default(z.number().check(z.gte(0), z.lte(1)), 0),
});

export interface MixedBatch extends Batch {
  /** How much each row is of its own sample; the rest is of the one behind it. Default all. */
  readonly own?: readonly number[];
}

/**
 * A copy of a batch in which a sample is, with the probability `share`, the sum of p of itself and
 * 1 - p of the one behind it, p uniform in [0, 1]. Ids and labels stay those of the first of the two,
 * and `own` says how much of it is there: a teacher has to be asked anew.
 *
 * @param batch two samples or more, along the first axis of every input
 * @throws PareError `data-mismatch` for inputs that are no 32-bit floats
 * @example mixBatch(batch, 1, sampleSeed(0, 3, 17))
 */
export function mixBatch(batch: Batch, share: number, seed: number): MixedBatch {
  const random = createRandom(seed);
  const own = Array.from({ length: batch.count }, () => {
    const isMixed = random.next() < share;
    const part = random.next();
    return isMixed ? part : 1;
  });
  const feeds = Object.entries(batch.feeds).map(([name, tensor]) => [name, mix(tensor, own, name)]);
  return { ...batch, feeds: Object.fromEntries(feeds), own };
}

/** Row i becomes own[i] of itself and the rest of the next row; the first row is behind the last. */
function mix(tensor: HostTensor, own: readonly number[], name: string): HostTensor {
  const { data, dims, dataType } = tensor;
  if (!(data instanceof Float32Array)) {
    throw new PareError(
      'data-mismatch',
      `mixup: input "${name}" is ${dataType} [${dims.join(',')}], and only float32 can be mixed`,
      { tensor: name, hint: 'leave out mixup for data that are no quantities, such as tokens' },
    );
  }
  const size = data.length / own.length;
  const out = new Float32Array(data);
  for (const [at, part] of own.entries()) {
    if (part === 1) continue;
    const from = at * size;
    const other = ((at + 1) % own.length) * size;
    for (let i = 0; i < size; i++) {
      out[from + i] = part * data[from + i]! + (1 - part) * data[other + i]!;
    }
  }
  return { ...tensor, data: out };
}

/**
 * Mixtures of two samples of a batch, so that few samples become many. What the original says of
 * them a student can learn from its teacher; a mixture is also as much of each class as it is of the
 * sample. Seeded by run, epoch and step, so that a resumed run sees the same mixtures.
 * Sources: mixup, Zhang et al. 2017 (arXiv:1710.09412), any floats, with shares uniform in [0, 1];
 * cutmix, see there; without labels Beyer et al. 2021 (arXiv:2106.05237).
 */
import * as z from 'zod/mini';
import type { Batch } from '../data/batches.js';
import type { HostTensor } from '../engine/engine.js';
import { PareError } from '../errors.js';
import { createRandom } from '../random.js';
import type { AugmentOptions } from './augment.js';
import { drawPatch, type Grid, gridOf, type Patch, pastePatch } from './cutmix.js';

const share = z.number().check(z.gte(0), z.lte(1));

export const mixtureOptions = z.object({
  /** Share of the samples that another one of their batch is mixed into. In [0, 1]. */
  mixup: z._default(share, 0),
  /** Share of the pictures that a part of another one is pasted into; at most 1 with `mixup`. */
  cutmix: z._default(share, 0),
});

export type MixtureOptions = z.output<typeof mixtureOptions>;

/** `layout` is for cutmix: where the channels of a picture are. */
export type Mixing = MixtureOptions & Pick<AugmentOptions, 'layout'>;

export interface MixedBatch extends Batch {
  /** How much each row is of its own sample; the rest is of the one behind it. Default all. */
  readonly own?: readonly number[];
}

/** Share of the samples that are mixtures, in [0, 1] for options that fit. */
export function mixedShare({ mixup, cutmix }: MixtureOptions): number {
  return mixup + cutmix;
}

/**
 * A copy of a batch in which a sample is, with the probability `mixup`, the sum of p of itself and
 * 1 - p of the one behind it, p uniform in [0, 1]; with the probability `cutmix` it has a rectangle
 * of the one behind it. Ids and labels stay those of the first of the two, and `own` says how much
 * of it is there: a teacher has to be asked anew.
 *
 * @param batch two samples or more, along the first axis of every input
 * @throws PareError `data-mismatch` for inputs that are no 32-bit floats, and for cutmix no pictures
 *   of one size
 * @example mixBatch(batch, { mixup: 1, cutmix: 0, layout: 'NCHW' }, sampleSeed(0, 3, 17))
 */
export function mixBatch(batch: Batch, options: Mixing, seed: number): MixedBatch {
  const inputs = Object.entries(batch.feeds).map(([name, tensor]) => ({
    name,
    tensor,
    data: floatsOf(tensor, name),
    grid: options.cutmix > 0 ? gridOf(tensor, options.layout, name) : undefined,
  }));
  const [first] = inputs;
  const random = createRandom(seed);
  const mixes = Array.from({ length: batch.count }, () => {
    const [kind, part] = [random.next(), random.next()];
    if (kind < options.mixup) return { own: part };
    if (kind >= mixedShare(options) || !first?.grid) return { own: 1 };
    return drawPatch(first.grid, part, random);
  });
  const feeds = inputs.map(({ name, tensor, data, grid }) => {
    if (first?.grid && grid) refuseOtherSize(first.grid, grid, name);
    return [name, { ...tensor, data: mixRows(data, mixes, grid) }];
  });
  return { ...batch, feeds: Object.fromEntries(feeds), own: mixes.map(({ own }) => own) };
}

/** Every row mixed with the next one; the first row is behind the last. */
function mixRows(
  data: Float32Array,
  mixes: readonly { readonly own: number; readonly patch?: Patch }[],
  grid: Grid | undefined,
): Float32Array {
  const size = data.length / mixes.length;
  const out = new Float32Array(data);
  for (const [at, { own, patch }] of mixes.entries()) {
    if (own === 1) continue;
    const from = at * size;
    const other = ((at + 1) % mixes.length) * size;
    if (patch && grid) {
      pastePatch(data.subarray(other, other + size), out.subarray(from, from + size), patch, grid);
      continue;
    }
    for (let i = 0; i < size; i++) {
      out[from + i] = own * data[from + i]! + (1 - own) * data[other + i]!;
    }
  }
  return out;
}

function floatsOf({ data, dims, dataType }: HostTensor, name: string): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new PareError(
    'data-mismatch',
    `mixtures: input "${name}" is ${dataType} [${dims.join(',')}], and only float32 can be mixed`,
    {
      tensor: name,
      hint: 'leave out mixup and cutmix for data that are no quantities, such as tokens',
    },
  );
}

function refuseOtherSize(a: Grid, b: Grid, name: string): void {
  if (a.height === b.height && a.width === b.width) return;
  throw new PareError(
    'data-mismatch',
    `cutmix: input "${name}" is ${b.height} by ${b.width} pixels, another one ${a.height} by ${a.width}`,
    { tensor: name, hint: 'mixup works on any floats' },
  );
}

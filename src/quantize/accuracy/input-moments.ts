/**
 * Means and covariances of what the weights of layers are multiplied with, from windows at seeded
 * positions of samples. Memory depends on the layers only, not on the number of samples.
 */
import { createMatMul } from '../../engine/matmul.js';
import { modelSource } from '../../engine/model-source.js';
import { PareError, throwIfAborted } from '../../errors.js';
import { cloneModel } from '../../graph/clone.js';
import type { Model } from '../../graph/model.js';
import { type PassContext, requireEngine } from '../../pass.js';
import { createRandom } from '../../random.js';
import type { PatchLayout } from './input-patches.js';

export interface InputMoments {
  /** E[x]: [groups, features]. */
  readonly means: Float64Array;
  /** E[(x - E[x]) (x - E[x])']: [groups, features, features], symmetric. */
  readonly covariances: Float64Array;
  /** Windows that were seen. */
  readonly count: number;
}

export interface MomentRequest {
  /** Name of the layer's input value. */
  readonly name: string;
  readonly layout: PatchLayout;
}

/** Windows that are multiplied at once. */
const chunkRows = 512;

/** In the order of the requests. */
export async function inputMoments(
  model: Model,
  requests: readonly MomentRequest[],
  context: PassContext,
  pass: string,
): Promise<InputMoments[]> {
  const engine = requireEngine(context, pass);
  if (!context.samples) {
    throw new PareError('usage', `${pass}: needs samples to see the inputs of layers`, {
      hint: 'give data with --data PATH; labels are not needed',
    });
  }
  const probe = cloneModel(model);
  const names = [...new Set(requests.map(({ name }) => name))];
  const added = names.map((name) => probe.graph.value(name)).filter((value) => !value.isInput);
  for (const value of added) if (!value.isOutput) probe.graph.outputs.push(value);
  const fetches = added.map(({ name }) => name);
  const random = createRandom(context.seed);
  const blas = createMatMul(engine);
  const sums = requests.map(({ layout }) => new MomentSum(layout));
  const session = await engine.createSession(await modelSource(probe), { optimization: 'basic' });
  const task = context.progress.task(`${pass}: inputs of layers`);
  let count = 0;
  try {
    for await (const feeds of context.samples()) {
      throwIfAborted(context.signal);
      const results = await session.run(feeds, fetches.length > 0 ? fetches : undefined);
      for (const [at, { name, layout }] of requests.entries()) {
        const input = results[name] ?? feeds[name]!;
        const positions = layout.positions(input);
        // A covariance of n features needs some multiple of n windows; a hundred samples give 12 n.
        const wanted = Math.min(positions, Math.max(16, Math.ceil(layout.features / 8)));
        for (let i = 0; i < wanted; i++) {
          const position = wanted === positions ? i : random.int(positions);
          const slot = sums[at]!.nextSlot();
          layout.read(input, position, slot.rows, slot.offset);
          if (sums[at]!.isFull) await sums[at]!.flush(blas);
        }
      }
      task.update(++count);
    }
    if (count === 0) throw new PareError('invalid-data', `${pass}: there is no sample`);
    for (const sum of sums) await sum.flush(blas);
  } finally {
    task.end();
    await session.release();
    await blas.release();
  }
  return sums.map((sum) => sum.result());
}

/** Sums of x and of x x'. */
class MomentSum {
  readonly #layout: PatchLayout;
  readonly #rows: Float32Array;
  readonly #sums: Float64Array;
  readonly #products: Float64Array;
  #filled = 0;
  #count = 0;

  constructor(layout: PatchLayout) {
    const { groups, features } = layout;
    this.#layout = layout;
    this.#rows = new Float32Array((groups > 1 ? 16 : chunkRows) * groups * features);
    this.#sums = new Float64Array(groups * features);
    this.#products = new Float64Array(groups * features * features);
  }

  get isFull(): boolean {
    return this.#filled * this.#layout.groups * this.#layout.features === this.#rows.length;
  }

  nextSlot(): { rows: Float32Array; offset: number } {
    const { groups, features } = this.#layout;
    return { rows: this.#rows, offset: this.#filled++ * groups * features };
  }

  async flush(blas: ReturnType<typeof createMatMul>): Promise<void> {
    const { groups, features } = this.#layout;
    const width = groups * features;
    const rows = this.#filled;
    if (rows === 0) return;
    for (let at = 0; at < rows * width; at++) this.#sums[at % width]! += this.#rows[at]!;
    if (groups === 1) {
      const data = this.#rows.subarray(0, rows * width);
      await blas.gram({ dims: [rows, width], data }, { into: this.#products });
    } else this.#addGroups(rows, width);
    this.#count += rows;
    this.#filled = 0;
  }

  /** Groups are small and many: products in place, lower triangles only. */
  #addGroups(rows: number, width: number): void {
    const { groups, features } = this.#layout;
    for (let row = 0; row < rows; row++) {
      for (let group = 0; group < groups; group++) {
        const from = row * width + group * features;
        const to = group * features * features;
        for (let i = 0; i < features; i++) {
          const x = this.#rows[from + i]!;
          if (x === 0) continue;
          for (let j = 0; j <= i; j++) {
            this.#products[to + i * features + j]! += x * this.#rows[from + j]!;
          }
        }
      }
    }
  }

  result(): InputMoments {
    const { groups, features } = this.#layout;
    const means = this.#sums.map((sum) => sum / this.#count);
    const covariances = this.#products;
    for (let group = 0; group < groups; group++) {
      for (let i = 0; i < features; i++) {
        for (let j = 0; j <= i; j++) {
          const lower = (group * features + i) * features + j;
          const mean = means[group * features + i]! * means[group * features + j]!;
          const found = covariances[lower]! / this.#count - mean;
          covariances[lower] = found;
          covariances[(group * features + j) * features + i] = found;
        }
      }
    }
    return { means, covariances, count: this.#count };
  }
}

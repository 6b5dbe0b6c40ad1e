/**
 * Means and covariances of what the weights of layers are multiplied with, from windows at seeded
 * positions of samples. Memory depends on the layers only, not on the number of samples.
 */
import type { MatMul } from '../engine/matmul.js';
import type { Model } from '../graph/model.js';
import type { PassContext } from '../pass.js';
import type { PatchLayout } from './input-patches.js';
import { sumWindows, type WindowRequest, type WindowSum } from './input-windows.js';

export interface InputMoments {
  /** E[x]: [groups, features]. */
  readonly means: Float64Array;
  /** E[(x - E[x]) (x - E[x])']: [groups, features, features], symmetric. */
  readonly covariances: Float64Array;
  /** Windows that were seen. */
  readonly count: number;
}

/** Windows that are multiplied at once. */
const chunkRows = 512;

/** In the order of the requests. */
export async function inputMoments(
  model: Model,
  requests: readonly WindowRequest[],
  context: PassContext,
  pass: string,
): Promise<InputMoments[]> {
  const sums = requests.map(({ layout }) => new MomentSum(layout));
  await sumWindows(model, requests, sums, context, pass);
  return sums.map((sum) => sum.result());
}

/** E[x x'] without the mean taken out: what the error of a layer's outputs is measured by. */
export function secondMoments({ means, covariances }: InputMoments, groups: number): Float64Array {
  const features = means.length / groups;
  const moments = covariances.slice();
  for (let group = 0, at = 0; group < groups; group++) {
    const start = group * features;
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < features; j++) moments[at++]! += means[start + i]! * means[start + j]!;
    }
  }
  return moments;
}

/** Sums of x and of x x'. */
class MomentSum implements WindowSum {
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

  async flush(blas: MatMul): Promise<void> {
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

/**
 * Mean squares of what the weights of layers are multiplied with, per feature: all that a
 * criterion by input norms needs, in memory that grows with the features and not their square.
 */
import type { Model } from '../graph/model.js';
import type { PassContext } from '../pass.js';
import type { PatchLayout } from './input-patches.js';
import { sumWindows, type WindowRequest, type WindowSum } from './input-windows.js';

/** E[x^2] as [groups, features], in the order of the requests. */
export async function inputSquares(
  model: Model,
  requests: readonly WindowRequest[],
  context: PassContext,
  pass: string,
): Promise<Float64Array[]> {
  const sums = requests.map(({ layout }) => new SquareSum(layout));
  await sumWindows(model, requests, sums, context, pass);
  return sums.map((sum) => sum.result());
}

class SquareSum implements WindowSum {
  readonly #window: Float32Array;
  readonly #sums: Float64Array;
  #filled = false;
  #count = 0;

  constructor({ groups, features }: PatchLayout) {
    this.#window = new Float32Array(groups * features);
    this.#sums = new Float64Array(groups * features);
  }

  get isFull(): boolean {
    return this.#filled;
  }

  nextSlot(): { rows: Float32Array; offset: number } {
    this.#filled = true;
    return { rows: this.#window, offset: 0 };
  }

  async flush(): Promise<void> {
    if (!this.#filled) return;
    for (let i = 0; i < this.#sums.length; i++) this.#sums[i]! += this.#window[i]! ** 2;
    this.#count++;
    this.#filled = false;
  }

  result(): Float64Array {
    return this.#sums.map((sum) => sum / this.#count);
  }
}

/**
 * Mean and variance of the channels of one value, in the original and in the pruned model. Sums
 * in float64; memory is that of the channels.
 */
import type { HostTensor } from '../../engine/engine.js';
import { float32Of } from '../../engine/host-tensor.js';
import { elementCount } from '../../onnx/data-type.js';

/** One entry per channel that is left. */
export interface ChannelChange {
  readonly meansBefore: Float64Array;
  readonly meansAfter: Float64Array;
  /** Variance now over variance before; 1 where either is zero. */
  readonly ratios: Float64Array;
}

export class ChannelSums {
  readonly #sums: { before: Sums; after: Sums } = { before: new Sums(), after: new Sums() };

  /** @param kept channels of `before` (axis 1) that are left; undefined for all */
  add(before: HostTensor, after: HostTensor, kept: Int32Array | undefined): void {
    this.#sums.before.add(before, kept);
    this.#sums.after.add(after, undefined);
  }

  result(): ChannelChange {
    const before = this.#sums.before.moments();
    const after = this.#sums.after.moments();
    const ratios = after.variances.map((variance, channel) => {
      const ratio = variance / before.variances[channel]!;
      return Number.isFinite(ratio) && ratio > 0 ? ratio : 1;
    });
    return { meansBefore: before.means, meansAfter: after.means, ratios };
  }
}

class Sums {
  #first = new Float64Array();
  #second = new Float64Array();
  #count = 0;

  add(tensor: HostTensor, kept: Int32Array | undefined): void {
    const values = float32Of(tensor);
    const [batch = 1, width = 1, ...rest] = tensor.dims;
    const inner = elementCount(rest);
    const channels = kept?.length ?? width;
    if (this.#count === 0) {
      this.#first = new Float64Array(channels);
      this.#second = new Float64Array(channels);
    }
    for (let sample = 0; sample < batch; sample++) {
      for (let channel = 0; channel < channels; channel++) {
        const start = (sample * width + (kept?.[channel] ?? channel)) * inner;
        for (let at = start; at < start + inner; at++) {
          this.#first[channel]! += values[at]!;
          this.#second[channel]! += values[at]! ** 2;
        }
      }
    }
    this.#count += batch * inner;
  }

  moments() {
    const means = this.#first.map((sum) => sum / this.#count);
    const variances = this.#second.map((sum, at) => sum / this.#count - means[at]! ** 2);
    return { means, variances };
  }
}

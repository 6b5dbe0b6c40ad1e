/**
 * Sums of products of what a layer reads, of one, and of what it should give: [x, 1, y]'[x, 1, y],
 * group by group. Everything that a repair solves is read off them; memory does not depend on the
 * number of samples.
 */
import type { MatMul } from '../../engine/matmul.js';

/** Rows that are multiplied at once by the runtime. */
const chunkRows = 512;

/** Second moments of one group, centred where the layer can take a bias. */
export interface GroupMoments {
  /** [features] and [outputs]; zeros where nothing was centred. */
  readonly inputMeans: Float64Array;
  readonly targetMeans: Float64Array;
  /** Sxx: [features, features]. */
  readonly inputs: Float64Array;
  /** Sxy, transposed: [outputs, features]. */
  readonly cross: Float64Array;
  /** Diagonal of Syy. */
  readonly targets: Float64Array;
}

export class MomentSums {
  readonly #groups: number;
  readonly #features: number;
  readonly #outputs: number;
  readonly #width: number;
  readonly #rows: Float32Array;
  readonly #sums: Float64Array[];
  #filled = 0;
  #count = 0;

  constructor(groups: number, features: number, outputs: number) {
    this.#groups = groups;
    this.#features = features;
    this.#outputs = outputs;
    this.#width = features + 1 + outputs;
    this.#rows = new Float32Array((groups > 1 ? 16 : chunkRows) * groups * this.#width);
    this.#sums = Array.from({ length: groups }, () => new Float64Array(this.#width ** 2));
  }

  /** Windows that were seen. */
  get count(): number {
    return this.#count + this.#filled;
  }

  /**
   * @param inputs [groups, features]
   * @param targets [groups, outputs]
   */
  async add(inputs: Float32Array, targets: Float32Array, blas: MatMul): Promise<void> {
    const [groups, features, outputs] = [this.#groups, this.#features, this.#outputs];
    for (let group = 0; group < groups; group++) {
      const at = (this.#filled * groups + group) * this.#width;
      this.#rows.set(inputs.subarray(group * features, (group + 1) * features), at);
      this.#rows[at + features] = 1;
      this.#rows.set(targets.subarray(group * outputs, (group + 1) * outputs), at + features + 1);
    }
    this.#filled++;
    if (this.#filled * groups * this.#width === this.#rows.length) await this.flush(blas);
  }

  async flush(blas: MatMul): Promise<void> {
    const rows = this.#filled;
    if (rows === 0) return;
    if (this.#groups === 1) {
      const data = this.#rows.subarray(0, rows * this.#width);
      await blas.gram({ dims: [rows, this.#width], data }, { into: this.#sums[0]! });
    } else this.#addGroups(rows);
    this.#count += rows;
    this.#filled = 0;
  }

  /** Groups are small and many: a call of the runtime for each costs more than its product. */
  #addGroups(rows: number): void {
    const width = this.#width;
    for (let at = 0; at < rows * this.#groups; at++) {
      const sums = this.#sums[at % this.#groups]!;
      const from = at * width;
      for (let i = 0; i < width; i++) {
        const x = this.#rows[from + i]!;
        if (x === 0) continue;
        for (let j = 0; j < width; j++) sums[i * width + j]! += x * this.#rows[from + j]!;
      }
    }
  }

  /** Call `flush` before. */
  group(group: number, centred: boolean): GroupMoments {
    const [features, outputs, width] = [this.#features, this.#outputs, this.#width];
    const sums = this.#sums[group]!;
    const count = Math.max(1, this.#count);
    const mean = (at: number) => (centred ? sums[features * width + at]! / count : 0);
    const moment = (i: number, j: number) => sums[i * width + j]! / count - mean(i) * mean(j);
    const first = features + 1;
    const inputs = new Float64Array(features ** 2);
    const cross = new Float64Array(outputs * features);
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < features; j++) inputs[i * features + j] = moment(i, j);
      for (let o = 0; o < outputs; o++) cross[o * features + i] = moment(first + o, i);
    }
    return {
      inputMeans: Float64Array.from({ length: features }, (_, i) => mean(i)),
      targetMeans: Float64Array.from({ length: outputs }, (_, o) => mean(first + o)),
      inputs,
      cross,
      targets: Float64Array.from({ length: outputs }, (_, o) => moment(first + o, first + o)),
    };
  }
}

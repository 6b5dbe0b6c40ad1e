/**
 * Labels of indices and which of them stand or fall together: a union-find over typed arrays, where
 * a set can be fixed, for a cause. Knows no graph and no operator.
 *
 * Fixed labels are not joined with what they fix: they only mark it. So one fixed axis does not
 * make one big set of everything fixed, and each set keeps the cause that reached it first.
 */

/** One label per index of an axis. */
export type Labels = Int32Array;

export class LabelSets {
  #parent = new Int32Array(1024);
  /** Per root: 0 while the set is free, else the number of its cause. */
  #cause = new Int32Array(1024);
  #count = 0;

  /** This many new labels, each a set of its own. */
  fresh(length: number): Labels {
    const labels = new Int32Array(length);
    this.#reserve(this.#count + length);
    for (let i = 0; i < length; i++) {
      labels[i] = this.#count;
      this.#parent[this.#count] = this.#count++;
    }
    return labels;
  }

  /** The label that stands for the set. */
  find(label: number): number {
    const parent = this.#parent;
    let at = label;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!;
      at = parent[at]!;
    }
    return at;
  }

  /** Joins two sets; where one is fixed, the other becomes fixed for the same cause. */
  union(a: number, b: number): void {
    const one = this.find(a);
    const two = this.find(b);
    if (one === two) return;
    const causeOne = this.#cause[one]!;
    const causeTwo = this.#cause[two]!;
    if (causeOne > 0 || causeTwo > 0) {
      if (causeOne === 0) this.#cause[one] = causeTwo;
      else if (causeTwo === 0) this.#cause[two] = causeOne;
      return;
    }
    // The older label stays: which one stands for a set depends on the sets alone.
    this.#parent[Math.max(one, two)] = Math.min(one, two);
  }

  /** Fixes the set of a label; the first cause stays. Causes count from 1. */
  fix(label: number, cause: number): void {
    const root = this.find(label);
    if (this.#cause[root] === 0) this.#cause[root] = cause;
  }

  /** The cause of a fixed set, 0 for a free one. */
  causeOf(label: number): number {
    return this.#cause[this.find(label)]!;
  }

  isFixed(label: number): boolean {
    return this.causeOf(label) > 0;
  }

  #reserve(count: number): void {
    if (count <= this.#parent.length) return;
    const length = Math.max(count, 2 * this.#parent.length);
    const parent = new Int32Array(length);
    const cause = new Int32Array(length);
    parent.set(this.#parent);
    cause.set(this.#cause);
    this.#parent = parent;
    this.#cause = cause;
  }
}

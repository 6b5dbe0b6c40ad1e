/**
 * The cheapest way to part things in two, where each has a price on either side and pairs have a
 * price for being parted: a minimum cut, by Dinic's algorithm (E. A. Dinic, 1970). Knows nothing
 * of models.
 */

export interface Parting {
  readonly cost: number;
  isFirst(thing: number): boolean;
}

/**
 * @example
 * const cut = new MinCut();
 * const [a, b] = [cut.add(), cut.add()];
 * cut.price(a, 1, 5); // better on the first side
 * cut.price(b, 3, 2); // better on the second
 * cut.part(a, b, 4); // but not worth parting them
 * cut.solve(); // cost 4, both on the first side
 */
export class MinCut {
  /** Edges come in pairs, there and back: edge e has its reverse at e ^ 1. */
  readonly #to: number[] = [];
  readonly #room: number[] = [];
  readonly #edges: number[][] = [[], []];

  /** @returns the number of a new thing, without a price on either side */
  add(): number {
    return this.#edges.push([]) - 1;
  }

  /** What the thing costs on the first side, and what on the second. */
  price(thing: number, first: number, second: number): void {
    this.#connect(thing, secondSide, first);
    this.#connect(firstSide, thing, second);
  }

  /**
   * What it costs that `a` is on the first side and `b` on the second; nothing the other way
   * round. Infinity forbids it.
   */
  part(a: number, b: number, cost: number): void {
    this.#connect(a, b, cost);
  }

  /** The cheapest parting and its cost; call it once, when all is told. Ties go to the second. */
  solve(): Parting {
    let cost = 0;
    for (let level = this.#levels(); level[secondSide]! >= 0; level = this.#levels()) {
      const next = new Int32Array(this.#edges.length);
      for (let pushed = 1; pushed > 0; cost += pushed) {
        pushed = this.#push(firstSide, Number.POSITIVE_INFINITY, level, next);
      }
    }
    const reached = this.#levels();
    return { cost, isFirst: (thing) => reached[thing]! >= 0 };
  }

  #connect(from: number, to: number, room: number): void {
    if (!(room > 0) || from === to) return;
    this.#edges[from]!.push(this.#to.push(to) - 1);
    this.#room.push(room);
    this.#edges[to]!.push(this.#to.push(from) - 1);
    this.#room.push(0);
  }

  /** Steps from the first side over edges with room; -1 where none lead. */
  #levels(): Int32Array {
    const level = new Int32Array(this.#edges.length).fill(-1);
    level[firstSide] = 0;
    const queue = [firstSide];
    for (const at of queue) {
      for (const edge of this.#edges[at]!) {
        const to = this.#to[edge]!;
        if (this.#room[edge]! <= tiny || level[to]! >= 0) continue;
        level[to] = level[at]! + 1;
        queue.push(to);
      }
    }
    return level;
  }

  #push(at: number, most: number, level: Int32Array, next: Int32Array): number {
    if (at === secondSide) return most;
    const edges = this.#edges[at]!;
    for (; next[at]! < edges.length; next[at]!++) {
      const edge = edges[next[at]!]!;
      const to = this.#to[edge]!;
      if (this.#room[edge]! <= tiny || level[to] !== level[at]! + 1) continue;
      const pushed = this.#push(to, Math.min(most, this.#room[edge]!), level, next);
      if (pushed <= 0) continue;
      this.#room[edge]! -= pushed;
      this.#room[edge ^ 1]! += pushed;
      return pushed;
    }
    return 0;
  }
}

/** The side itself, to part things from: `part(thing, secondSide, cost)`. */
export const firstSide = 0;
export const secondSide = 1;

/** What is left of an edge by rounding. */
const tiny = 1e-9;

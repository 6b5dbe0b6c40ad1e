/**
 * A weight as a matrix of numbers with a mask, and the choice of the entries that leave. Pure
 * arithmetic: no graphs, no files. An entry that is zero already has left: it comes first in
 * every choice and counts, so that masks compose and a second run changes nothing.
 */

export interface WeightMatrix {
  /** Groups of equal numbers of rows; each sees features of its own. */
  readonly groups: number;
  readonly rows: number;
  readonly features: number;
  /** The features are runs of so many: the input axis. */
  readonly channels: number;
  /** Row-major, [rows, features]. Solvers write to it. */
  readonly values: Float64Array;
}

/** The score of what is zero already; scores of criteria are zero or more. */
export const goneScore = -1;

/** Writes the score of zero entries over that of the criterion. */
export function markGone(scores: Float64Array, values: Float64Array): Float64Array {
  for (let i = 0; i < scores.length; i++) if (values[i] === 0) scores[i] = goneScore;
  return scores;
}

export function countZeros(values: ArrayLike<number>): number {
  let zeros = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === 0) zeros++;
  return zeros;
}

/**
 * Sets `into` at the `count` lowest of scores[from..to), those that are gone included even where
 * they are more. Equal scores leave in order of their position.
 */
export function takeLowest(
  scores: Float64Array,
  from: number,
  to: number,
  count: number,
  into: Uint8Array,
): void {
  const sorted = scores.slice(from, to).sort();
  let gone = 0;
  while (gone < sorted.length && sorted[gone] === goneScore) gone++;
  const wanted = Math.max(gone, Math.min(count, to - from));
  if (wanted === 0) return;
  const limit = sorted[wanted - 1]!;
  let ties = wanted;
  for (let i = 0; i < sorted.length && sorted[i]! < limit; i++) ties--;
  for (let i = from; i < to; i++) {
    if (scores[i]! < limit) into[i] = 1;
    else if (scores[i] === limit && ties > 0) {
      into[i] = 1;
      ties--;
    }
  }
}

/**
 * Shares out round(share * total) over parts of these sizes, so that no part is more than one off
 * its own share and the sum is exact.
 */
export function shareOut(sizes: readonly number[], share: number): number[] {
  let before = 0;
  let given = 0;
  return sizes.map((size) => {
    before += size;
    const count = Math.round(share * before) - given;
    given += count;
    return count;
  });
}

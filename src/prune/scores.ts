/**
 * From the rows of a criterion to one score per unit: reduced over the members of the group, then
 * normalized so that families compare. Pure functions of numbers.
 */

/** How the rows of the members become one score. */
export const reductions = Object.freeze({
  mean: (rows: readonly Float64Array[]) =>
    fold(rows, (a, b) => a + b).map((sum) => sum / rows.length),
  sum: (rows: readonly Float64Array[]) => fold(rows, (a, b) => a + b),
  max: (rows: readonly Float64Array[]) => fold(rows, Math.max),
  first: (rows: readonly Float64Array[]) => Float64Array.from(rows[0]!),
  prod: (rows: readonly Float64Array[]) => fold(rows, (a, b) => a * b),
});

export type Reduction = keyof typeof reductions;
export const reductionNames = Object.freeze(Object.keys(reductions)) as readonly Reduction[];

/** How the scores of a family are brought to a scale that other families share. */
export const normalizers = Object.freeze({
  none: (scores: Float64Array) => scores,
  /** Their mean becomes 1. */
  mean: (scores: Float64Array) => divide(scores, meanOf(scores)),
  /** Their sum becomes 1: units of wide families count less. */
  sum: (scores: Float64Array) => divide(scores, meanOf(scores) * scores.length),
  /** The largest becomes 1. */
  max: (scores: Float64Array) =>
    divide(
      scores,
      scores.reduce((a, b) => Math.max(a, b), 0),
    ),
  /** From 0 to 1. */
  standardize(scores: Float64Array) {
    const least = scores.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    return divide(
      scores.map((score) => score - least),
      most - least,
    );
  },
  lamp: (scores: Float64Array) => lampOf(scores),
});

export type Normalizer = keyof typeof normalizers;
export const normalizerNames = Object.freeze(Object.keys(normalizers)) as readonly Normalizer[];

/** One score per unit. There must be a row. */
export function scoresOf(
  rows: readonly Float64Array[],
  reduction: Reduction,
  normalizer: Normalizer,
): Float64Array {
  return normalizers[normalizer](reductions[reduction](rows));
}

/** score_i / sum of all scores that are not smaller; ties count in the order of their index. */
export function lampOf(scores: Float64Array): Float64Array {
  const order = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]! || a - b);
  const result = new Float64Array(scores.length);
  let rest = 0;
  for (const at of order.reverse()) {
    rest += scores[at]!;
    result[at] = rest > 0 ? scores[at]! / rest : 0;
  }
  return result;
}

function fold(
  rows: readonly Float64Array[],
  combine: (a: number, b: number) => number,
): Float64Array {
  const [first, ...rest] = rows;
  const result = Float64Array.from(first!);
  for (const row of rest) {
    for (let unit = 0; unit < result.length; unit++)
      result[unit] = combine(result[unit]!, row[unit]!);
  }
  return result;
}

function meanOf(scores: Float64Array): number {
  return scores.reduce((a, b) => a + b, 0) / Math.max(1, scores.length);
}

/** A family of which nothing is above zero keeps its zeros. */
function divide(scores: Float64Array, by: number): Float64Array {
  return by > 0 ? scores.map((score) => score / by) : scores;
}

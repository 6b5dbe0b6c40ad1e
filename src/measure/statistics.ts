/**
 * Estimates with their uncertainty: shares, paired differences, medians. Pure functions of
 * numbers; nothing here knows what was measured.
 */

/** A share of n things. Plain JSON; every share is in [0, 1]. */
export interface Rate {
  readonly count: number;
  readonly n: number;
  /** count / n; 0 when n is 0. */
  readonly share: number;
  /** 95 % Wilson score interval of the share; [0, 1] when n is 0. */
  readonly interval: readonly [low: number, high: number];
}

/** 97.5 % point of the standard normal distribution. */
const z = 1.959963984540054;

/**
 * The share with its Wilson score interval, which stays inside [0, 1] and has width even at 0 and
 * at n of n. Source: E. B. Wilson, JASA 22 (1927), 209-212.
 *
 * @example rate(9, 10) // share 0.9, interval [0.596, 0.982]
 */
export function rate(count: number, n: number): Rate {
  if (n === 0) return { count, n, share: 0, interval: [0, 1] };
  const share = count / n;
  const spread = 1 + (z * z) / n;
  const center = (share + (z * z) / (2 * n)) / spread;
  const half = (z / spread) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  // At the ends rounding would leave the interval beside the share itself.
  const low = count === 0 ? 0 : Math.max(0, center - half);
  const high = count === n ? 1 : Math.min(1, center + half);
  return { count, n, share, interval: [low, high] };
}

/** Accuracy lost against the reference on the same samples. Plain JSON. */
export interface Drop {
  /** Percentage points; positive: this model is worse. */
  readonly points: number;
  /** Standard error of `points`, in points. */
  readonly standardError: number;
  /** Samples that only the reference gets right, and that only this model does. */
  readonly lost: number;
  readonly gained: number;
}

/**
 * Samples on which both agree tell nothing about the difference, so its variance comes from the
 * discordant ones alone: (lost + gained - (lost - gained)^2 / n) / n^2. That is far tighter than
 * the difference of two independent shares. Source: Q. McNemar, Psychometrika 12 (1947), 153-157.
 */
export function pairedDrop(lost: number, gained: number, n: number): Drop {
  if (n === 0) return { points: 0, standardError: 0, lost, gained };
  const difference = lost - gained;
  const variance = (lost + gained - (difference * difference) / n) / (n * n);
  return {
    points: (100 * difference) / n,
    standardError: 100 * Math.sqrt(Math.max(0, variance)),
    lost,
    gained,
  };
}

/**
 * The quantile q in [0, 1], linear between the two nearest values. NaN for no values.
 * @example quantile([1, 2, 3, 4], 0.5) // 2.5
 */
export function quantile(values: ArrayLike<number>, q: number): number {
  return quantileOfSorted(sorted(values), q);
}

export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}

/** Median absolute deviation from the median, not scaled to a standard deviation. */
export function medianAbsoluteDeviation(values: ArrayLike<number>): number {
  const middle = median(values);
  return median(Array.from(values, (value) => Math.abs(value - middle)));
}

/**
 * A confidence interval of the median from order statistics: free of assumptions about the
 * distribution, with a level of at least 95 %. Undefined below 6 values, where there is none.
 * Source: W. R. Thompson, Annals of Mathematical Statistics 7 (1936), 122-128.
 */
export function medianInterval(values: ArrayLike<number>): [low: number, high: number] | undefined {
  const ordered = sorted(values);
  const n = ordered.length;
  // The interval [x_k, x_(n+1-k)] misses the median when at most k-1 of n fair coins fall heads.
  let probability = 0;
  let k = 0;
  for (let heads = 0; heads < n / 2; heads++) {
    probability += Math.exp(logChoose(n, heads) - n * Math.LN2);
    if (probability > 0.025) break;
    k = heads + 1;
  }
  return k === 0 ? undefined : [ordered[k - 1]!, ordered[n - k]!];
}

function logChoose(n: number, k: number): number {
  let sum = 0;
  for (let i = 1; i <= k; i++) sum += Math.log((n - k + i) / i);
  return sum;
}

function quantileOfSorted(ordered: ArrayLike<number>, q: number): number {
  const at = (ordered.length - 1) * q;
  const below = Math.floor(at);
  const low = ordered[below] ?? Number.NaN;
  const high = ordered[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - below);
}

function sorted(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values).sort();
}

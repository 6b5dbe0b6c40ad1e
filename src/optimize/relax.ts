/**
 * "The scheme, except these nodes": finds the fewest nodes to leave in float so that a candidate
 * keeps the promise. Every changed node is quantized alone and the damage to the outputs measured;
 * then the worst are left out, one more and one more (doubling, then bisecting), until a check on
 * held-back samples passes. What predicts damage is measuring it: weight errors hardly correlate.
 */

export interface NodeDamage {
  readonly node: string;
  /** SNR in dB of the outputs when only this node is quantized; lower is worse. */
  readonly snr: number;
}

export interface Relaxation {
  /** How many nodes of the ranking to exclude. */
  readonly count: number;
  /** All nodes, the worst first. */
  readonly ranked: readonly NodeDamage[];
  /** How many checks were run. */
  readonly checks: number;
}

/**
 * @param damage one row per node that the scheme changes
 * @param passes whether the scheme without these nodes keeps the promise; costs a measurement
 * @returns the smallest prefix of the ranking that passes (exact when passing is monotonic), or
 *   undefined when even half of the nodes in float do not help
 */
export async function relax(
  damage: readonly NodeDamage[],
  passes: (excluded: readonly string[]) => Promise<boolean>,
): Promise<Relaxation | undefined> {
  const ranked = [...damage].sort((a, b) => a.snr - b.snr);
  const worst = (count: number) => ranked.slice(0, count).map(({ node }) => node);
  const limit = Math.max(1, Math.floor(ranked.length / 2));
  let checks = 0;
  const check = (count: number) => {
    checks++;
    return passes(worst(count));
  };
  let failing = 0;
  let passing = 1;
  while (!(await check(passing))) {
    failing = passing;
    if (passing >= limit) return undefined;
    passing = Math.min(limit, passing * 2);
  }
  while (passing - failing > 1) {
    const middle = (passing + failing) >> 1;
    if (await check(middle)) passing = middle;
    else failing = middle;
  }
  return { count: passing, ranked, checks };
}

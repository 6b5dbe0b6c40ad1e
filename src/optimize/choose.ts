/**
 * Which of the measured candidates is the result. Pure: measurements in, choice and reasons out.
 */
import { brokenLimits, type Quality, type QualityPromise } from './promise.js';

export type Goal = 'latency' | 'size' | 'balanced';

/** A candidate as it was measured, beside the original. */
export interface Measured {
  readonly name: string;
  readonly sizeBytes: number;
  /** Original latency / candidate latency, median and 95 % interval; undefined if not measured. */
  readonly speedUp:
    | { readonly median: number; readonly low: number; readonly high: number }
    | undefined;
  readonly quality: Quality;
}

export interface Verdict {
  readonly name: string;
  readonly kept: boolean;
  /** Why it was rejected; empty for what could have been chosen. */
  readonly reasons: readonly string[];
}

export interface Choice {
  /** Name of the winner; undefined when nothing helps. */
  readonly winner: string | undefined;
  readonly verdicts: readonly Verdict[];
}

/** A file must lose at least this share of its bytes to count as smaller. */
const worthwhileShrink = 0.02;
/** Candidates this close in speed are equally fast: the smaller one wins. */
const sameSpeed = 0.03;

/**
 * Rejects what breaks the promise, what is slower than the original beyond doubt, and what is
 * neither smaller nor faster; of the rest takes the best for the goal.
 */
export function choose(
  original: { readonly sizeBytes: number },
  candidates: readonly Measured[],
  promise: QualityPromise,
  goal: Goal,
): Choice {
  const verdicts = candidates.map((candidate) => {
    const reasons = [
      ...brokenLimits(promise, candidate.quality),
      ...uselessness(original.sizeBytes, candidate),
    ];
    return { name: candidate.name, kept: reasons.length === 0, reasons };
  });
  const kept = candidates.filter((_, i) => verdicts[i]!.kept);
  const best = kept.reduce<Measured | undefined>(
    (best, candidate) => (best && !better(candidate, best, goal) ? best : candidate),
    undefined,
  );
  return { winner: best?.name, verdicts };
}

function uselessness(originalBytes: number, { sizeBytes, speedUp }: Measured): string[] {
  if (speedUp && speedUp.high < 1 && speedUp.median < 1 - sameSpeed) {
    return [`runs at ${speedUp.median.toFixed(2)} times the speed of the original`];
  }
  const smaller = sizeBytes < originalBytes * (1 - worthwhileShrink);
  const faster = speedUp !== undefined && speedUp.low > 1 && speedUp.median > 1 + sameSpeed;
  return smaller || faster ? [] : ['neither smaller nor faster than the original'];
}

function better(a: Measured, b: Measured, goal: Goal): boolean {
  const speed = (m: Measured) => m.speedUp?.median ?? 1;
  if (goal === 'size') return a.sizeBytes < b.sizeBytes;
  if (goal === 'balanced') return speed(a) / a.sizeBytes > speed(b) / b.sizeBytes;
  const ratio = speed(a) / speed(b);
  if (Math.abs(ratio - 1) <= sameSpeed) return a.sizeBytes < b.sizeBytes;
  return ratio > 1;
}

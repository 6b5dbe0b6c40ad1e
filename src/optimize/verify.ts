/**
 * Checks a receipt: is the file the one that was written, does the recipe make it again, and do
 * the measurements come out as stated. Pure comparisons; commands bring the measurements.
 */
import type { Evaluation } from '../measure/evaluation.js';
import { qualityOf } from './measuring.js';
import { brokenLimits, promiseText } from './promise.js';
import type { Receipt } from './receipt.js';

export interface Check {
  readonly name: string;
  readonly result: 'ok' | 'failed';
  readonly detail: string;
}

/**
 * Percentage points by which a score may differ, or one sample where that is more: kernels add in
 * another order on other machines, and a prediction on the edge falls to the other side.
 */
const scoreTolerance = 0.2;

/** Measured again against stated, and against the promise. */
export function checkEvaluation(
  receipt: Receipt,
  reference: Evaluation,
  again: Evaluation,
): Check[] {
  const broken = brokenLimits(receipt.promise, qualityOf(again));
  const checks: Check[] = [
    {
      name: 'promise kept',
      result: broken.length === 0 ? 'ok' : 'failed',
      detail: broken.length === 0 ? promiseText(receipt.promise) : broken.join('; '),
    },
  ];
  const stated = [receipt.original.evaluation, receipt.optimized.evaluation];
  for (const [at, measured] of [reference, again].entries()) {
    const before = scoreOf(stated[at]!);
    const now = scoreOf(measured);
    if (before === undefined || now === undefined) continue;
    const difference = Math.abs(before.percent - now.percent);
    const tolerance = Math.max(scoreTolerance, 100.0001 / now.n);
    checks.push({
      name: at === 0 ? 'score of the original' : 'score of the output',
      result: difference <= tolerance ? 'ok' : 'failed',
      detail: `${now.percent.toFixed(2)} %, the receipt states ${before.percent.toFixed(2)} %`,
    });
  }
  return checks;
}

/** Top-1 or next-token accuracy in percent, and of how many. */
function scoreOf({ classification, tokens }: Evaluation) {
  const score = classification?.top1 ?? tokens?.nextToken;
  return score ? { percent: 100 * score.share, n: score.n } : undefined;
}

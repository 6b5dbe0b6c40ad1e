/**
 * Checks a receipt: is the file the one that was written, does the recipe make it again, and do
 * the measurements come out as stated. Pure comparisons; commands bring the measurements.
 */
import type { Evaluation } from '../measure/evaluation.js';
import { qualityOf } from './measuring.js';
import { brokenLimits } from './promise.js';
import type { Receipt } from './receipt.js';

export interface Check {
  readonly name: string;
  /** 'skipped' when what it needs is not there any more. */
  readonly result: 'ok' | 'failed' | 'skipped';
  readonly detail: string;
}

/** Percentage points by which a score may differ: kernels add in another order on other machines. */
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
      detail: broken.length === 0 ? promiseText(receipt) : broken.join('; '),
    },
  ];
  const stated = [receipt.original.evaluation, receipt.optimized.evaluation];
  for (const [at, measured] of [reference, again].entries()) {
    const before = scoreOf(stated[at]!);
    const now = scoreOf(measured);
    if (before === undefined || now === undefined) continue;
    const difference = Math.abs(before - now);
    checks.push({
      name: at === 0 ? 'score of the original' : 'score of the output',
      result: difference <= scoreTolerance ? 'ok' : 'failed',
      detail: `${now.toFixed(2)} %, the receipt states ${before.toFixed(2)} %`,
    });
  }
  return checks;
}

/** Top-1 or next-token accuracy in percent. */
function scoreOf({ classification, tokens }: Evaluation): number | undefined {
  const share = classification?.top1?.share ?? tokens?.nextToken.share;
  return share === undefined ? undefined : 100 * share;
}

function promiseText({ promise }: Receipt): string {
  const { maxDrop, maxFlips, minSnr } = promise;
  const parts: string[] = [];
  if (maxDrop !== undefined) parts.push(`at most ${maxDrop} points lost`);
  if (maxFlips !== undefined) parts.push(`at most ${maxFlips} % flips`);
  if (minSnr !== undefined) parts.push(`at least ${minSnr} dB`);
  return parts.join(', ');
}

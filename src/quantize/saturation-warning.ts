/** What quantization says where the runtime's integer sums saturate with weights of 8 bits. */
import { sumsSaturate } from '../engine/saturation.js';
import type { PassContext } from '../pass.js';

export interface WeightRange {
  readonly weights: string;
  readonly reduceRange: boolean;
}

/** Undefined where results are right, or nothing is known for want of an engine. */
export async function saturationWarning(
  { weights, reduceRange }: WeightRange,
  { engine }: PassContext,
): Promise<string | undefined> {
  if (weights !== 'int8' || reduceRange || !engine || !(await sumsSaturate(engine)))
    return undefined;
  return 'integer sums saturate on this machine (x64 without VNNI), so that results can be wrong: reduceRange (--reduce-range) stores weights in 7 bits, which cannot';
}

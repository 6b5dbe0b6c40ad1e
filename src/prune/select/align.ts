/**
 * Widths that a runtime is fast at. Decides which numbers of kept units a family may have, and
 * nothing else.
 */
import type { Target } from '../../engine/engine.js';
import type { Family } from '../family.js';

/**
 * Channels are kept in multiples of these. On x64 with AVX-512, ONNX Runtime 1.30 computes
 * convolutions in blocks of 16 channels: a chain of 3x3 convolutions takes 6.7 ms at 64 channels,
 * 7.8 at 63, 6.6 at 52, 3.6 at 48 and 3.4 at 36, so that what is cut between two multiples buys
 * nothing, and can cost. WASM is proportional to the width; its integer kernels, and the vectors
 * of WebGPU, want multiples of 4.
 */
export const alignments: Readonly<Record<Target, number>> = Object.freeze({
  node: 16,
  wasm: 4,
  webgpu: 4,
});

/**
 * The alignment of one width: halved until the width holds it twice, so that narrow layers are
 * neither spared nor cut to nothing.
 */
export function alignmentOf(width: number, wanted: number): number {
  let align = wanted;
  while (align > 1 && width < 2 * align) align = Math.ceil(align / 2);
  return align;
}

/**
 * Numbers of units that may be kept, from most to least, without all of them. Never zero, and at
 * least the share of the family that may not go.
 *
 * @param original units before an earlier cut that this one continues: a width that was halved is
 *   still aligned as the whole one
 */
export function keptCounts(
  { units, unitWidth }: Pick<Family, 'units' | 'unitWidth'>,
  wanted: number,
  largestShare: number,
  original = units,
): number[] {
  const align = alignmentOf(original * unitWidth, wanted);
  const step = align / greatestCommonDivisor(align, Math.max(1, unitWidth));
  // Without the small term 1 - 0.9 of 10 units would be 2 of them.
  const least = Math.max(1, Math.ceil(original * (1 - largestShare) - 1e-9));
  const counts: number[] = [];
  for (let kept = Math.floor((units - 1) / step) * step; kept >= least && kept > 0; kept -= step) {
    counts.push(kept);
  }
  return counts;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

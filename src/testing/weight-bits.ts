/**
 * Tests of accuracy quantize weights to 7 bits where the machine's integer sums saturate.
 * For tests only; not part of the library's interface.
 */
import type { Engine } from '../engine/engine.js';
import { sumsSaturate } from '../engine/saturation.js';

/** 7 bits where the machine needs them and the options say nothing of it. */
export async function safeWeights<T extends object>(engine: Engine, options: T): Promise<T> {
  const { weights = 'int8', reduceRange } = options as { weights?: string; reduceRange?: boolean };
  const isOpen = reduceRange === undefined && weights === 'int8';
  return isOpen && (await sumsSaturate(engine)) ? { ...options, reduceRange: true } : options;
}

/** Where the bytes and the time go. */
import * as z from 'zod/mini';
import { count, interval, number, text } from './common.js';

/** Bytes of the constants of one layer in one role. */
export const sizeItem = z.object({ layer: text, op: text, role: text, bytes: count });

export const sizeShare = z.object({ name: text, tensors: count, bytes: count });

export const modelSize = z.object({
  model: text,
  /** All constants together. */
  tensorBytes: count,
  /** Largest first; what is small is one item per role, its layer an empty string. */
  items: z.array(sizeItem),
  byRole: z.array(sizeShare),
  byType: z.array(sizeShare),
});

export const operatorTime = z.object({ op: text, calls: count, ms: number });

export const nodeTime = z.object({ node: text, op: text, ms: number });

/** One model under the runtime's profiler: times of kernels, summed over one run. */
export const profile = z.object({
  model: text,
  runs: count,
  threads: count,
  totalMs: number,
  operators: z.array(operatorTime),
  /** The slowest; names as the runtime has them after its own fusions. */
  nodes: z.array(nodeTime),
});

export const benchRow = z.object({
  model: text,
  threads: count,
  level: text,
  rounds: count,
  medianMs: number,
  madMs: number,
  p10Ms: number,
  p90Ms: number,
  minMs: number,
  createMs: number,
  peakBytes: z.nullable(count),
  speedUp: z.nullable(z.object({ ratio: number, interval })),
});

export type SizeItem = z.output<typeof sizeItem>;
export type ModelSize = z.output<typeof modelSize>;
export type Profile = z.output<typeof profile>;
export type BenchRowData = z.output<typeof benchRow>;

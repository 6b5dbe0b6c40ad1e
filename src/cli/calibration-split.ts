/** Samples that a pass looks at, and the others, which its result is evaluated on. */
import type { Dataset, Split } from '../data/dataset.js';
import { splitDataset } from '../data/split.js';

/** `limit` samples that calibrate, 100 unless the user says; what is left evaluates. */
export function calibrationSplit(dataset: Dataset, limit = 100, seed: number): Split {
  const { train, test } = dataset.parts ?? {};
  const available = train ? train.end - train.start : dataset.size;
  const calibrate = Math.min(limit, available);
  const left = test ? test.end - test.start : dataset.size - calibrate;
  return splitDataset(dataset, { calibrate, evaluate: left, seed });
}

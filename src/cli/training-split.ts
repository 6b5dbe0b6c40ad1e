/** Samples that train, those that choose the best epoch, and those that neither has seen. */
import type { Dataset, Split } from '../data/dataset.js';
import { splitDataset } from '../data/split.js';

/** More would make every epoch longer and the choice hardly better. */
const mostValidated = 1000;

/**
 * A tenth chooses (the part `calibrate`), a fifth of the rest is kept for evaluation; where the
 * data has a test part of its own, that one evaluates. At most `limit` samples train.
 */
export function trainingSplit(dataset: Dataset, limit: number | undefined, seed: number): Split {
  const { train, test } = dataset.parts ?? {};
  const available = train ? train.end - train.start : dataset.size;
  const validate = available < 3 ? 0 : Math.min(mostValidated, Math.ceil(available / 10));
  const rest = available - validate;
  const evaluate = test ? test.end - test.start : available < 2 ? 0 : Math.ceil(rest / 5);
  const open = rest - (test ? 0 : evaluate);
  const most = Math.min(limit ?? open, open);
  return splitDataset(dataset, { calibrate: validate, train: most, evaluate, seed });
}

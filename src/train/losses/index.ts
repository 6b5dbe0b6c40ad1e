/** The losses, by name. */
import { cosine } from './cosine.js';
import { crossEntropy } from './cross-entropy.js';
import { distillation } from './distillation.js';
import { featureMse } from './feature-mse.js';
import { l1 } from './l1.js';
import type { Loss } from './loss.js';
import { mse } from './mse.js';
import { softCrossEntropy } from './soft-cross-entropy.js';

export const losses: readonly Loss[] = Object.freeze([
  crossEntropy,
  softCrossEntropy,
  mse,
  l1,
  cosine,
  distillation,
  featureMse,
]);

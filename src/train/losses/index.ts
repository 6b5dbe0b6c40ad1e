/** The losses, by name. */
import { cosine } from './cosine.js';
import { crossEntropy } from './cross-entropy.js';
import { distillation } from './distillation.js';
import { featureMse } from './feature-mse.js';
import { l1 } from './l1.js';
import { mse } from './mse.js';

export const losses = Object.freeze([crossEntropy, mse, l1, cosine, distillation, featureMse]);

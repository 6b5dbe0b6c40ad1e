/**
 * Cross-entropy of logits with shares of classes, the mean over all places. For samples that are of
 * several classes, such as mixtures (Zhang et al. 2017, arXiv:1710.09412).
 */
import { classShareOptions, crossEntropyOf } from './class-shares.js';
import { defineLoss, likeOutput, mean } from './loss.js';

export const softCrossEntropy = defineLoss({
  name: 'soft-cross-entropy',
  summary: 'Softmax cross-entropy of logits with shares of classes.',
  options: classShareOptions,
  target: likeOutput,
  append: (e, output, target, options) => mean(e, crossEntropyOf(e, output, target, options)),
});

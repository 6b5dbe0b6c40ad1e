/**
 * Magnitude of the scale that normalization gives a channel. Source: Liu et al., "Learning
 * Efficient Convolutional Networks through Network Slimming" (2017). Only for models whose
 * BatchNormalization is not folded into the layers before it.
 */
import { channelNormalizations } from '../../ops/channel-normalizations.js';
import { type Criterion, sumSlices, weightOf } from './criterion.js';

export const bnScale: Criterion = Object.freeze<Criterion>({
  name: 'bn-scale',
  summary: 'magnitude of its scale in BatchNormalization',
  need: 'weights',
  score(family, data) {
    const scales = family.members.filter(({ node, value }) => {
      const inputs = channelNormalizations[node.op];
      return inputs !== undefined && node.inputs[inputs.scale] === value;
    });
    if (scales.length === 0) return { reason: 'no BatchNormalization scales its units' };
    return scales.map((member) => {
      const weights = weightOf(member, data);
      return sumSlices(family, member, (at) => Math.abs(weights[at]!));
    });
  },
});

/**
 * Operators over which pare does not cut, each with the reason that a user reads. Those that no
 * table has are fixed too, and named. Source: the ONNX operator specification.
 */
import { type CouplingRule, type CouplingRules, fixedRule } from './coupling-rule.js';

const rows = (reason: string, names: string): [string, CouplingRule][] =>
  names.split(' ').map((name) => [name, fixedRule(reason)]);

export const fixedCoupling: CouplingRules = Object.freeze(
  Object.fromEntries([
    ...rows('a subgraph uses it', 'If Loop Scan SequenceMap'),
    ...rows(
      'elements are addressed by index',
      'GatherElements GatherND Scatter ScatterElements ScatterND',
    ),
    ...rows('elements are addressed by index', 'MaxUnpool OneHot ReverseSequence EyeLike'),
    ...rows('boxes are chosen by place', 'NonMaxSuppression RoiAlign MaxRoiPool GridSample'),
    ...rows('the shape of its result depends on numbers', 'NonZero Compress Unique'),
    ...rows('its number of elements is asked for', 'Size'),
    ...rows('sizes make it', 'ConstantOfShape Range Bernoulli Multinomial'),
    ...rows(
      'it draws random numbers',
      'RandomNormal RandomNormalLike RandomUniform RandomUniformLike',
    ),
    ...rows(
      'ONNX Runtime has no CPU kernel for it, so that a cut could not be proved',
      'com.microsoft:GroupNorm com.microsoft:SkipGroupNorm',
    ),
    ...rows('it transforms the whole axis', 'DFT STFT MelWeightMatrix Det'),
  ]),
);

/** Its dims are told, not its numbers: whoever uses them decides. */
export const shapeCoupling: CouplingRules = Object.freeze({ Shape: { couple: () => {} } });

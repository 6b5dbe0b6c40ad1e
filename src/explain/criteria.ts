/**
 * The scores of units, an explicit list: how each is made of what was collected, and what is to be
 * known when it is read. High is important. Nothing here runs a model.
 */
import type { LayerAblation } from './ablation.js';
import type { UnitScores } from './gradient-scores.js';
import type { Layer } from './layers.js';
import type { LayerObservation } from './observe.js';

/** What criteria may look at. What could not be collected is undefined. */
export interface Collected {
  readonly weightNorms: UnitScores;
  readonly observations: ReadonlyMap<Layer, LayerObservation>;
  readonly gradients: Readonly<Record<'taylor' | 'gradient-activation', UnitScores>> | undefined;
  readonly paths: Readonly<Record<'conductance' | 'internal-influence', UnitScores>> | undefined;
  readonly ablations: ReadonlyMap<Layer, LayerAblation> | undefined;
}

export interface UnitCriterion {
  readonly name: string;
  readonly summary: string;
  /** Unit of the score; null where it only ranks. */
  readonly unit: string | null;
  /** Scores of different layers compare as they are; others are divided by the mean of their layer. */
  readonly comparable: boolean;
  /** Which samples it looks at. */
  readonly samples: 'none' | 'all' | 'path';
  score(layer: Layer, data: Collected): ArrayLike<number> | undefined;
}

const weightNorm: UnitCriterion = {
  name: 'weight-norm',
  summary: 'L2 norm of the weights that make the unit',
  unit: null,
  comparable: false,
  samples: 'none',
  score: (layer, { weightNorms }) => weightNorms.get(layer),
};

const activation: UnitCriterion = {
  name: 'activation',
  summary: 'root mean square of the output',
  unit: null,
  comparable: false,
  samples: 'all',
  score: (layer, { observations }) =>
    map(observations.get(layer), ({ mean, variance }, unit) =>
      Math.sqrt(variance[unit]! + mean[unit]! ** 2),
    ),
};

const variation: UnitCriterion = {
  name: 'variation',
  summary: 'standard deviation of the output: what its mean does not say',
  unit: null,
  comparable: false,
  samples: 'all',
  score: (layer, { observations }) =>
    map(observations.get(layer), ({ variance }, unit) => Math.sqrt(variance[unit]!)),
};

const activity: UnitCriterion = {
  name: 'activity',
  summary: 'share of outputs that are not zero',
  unit: null,
  comparable: false,
  samples: 'all',
  score: (layer, { observations }) =>
    map(observations.get(layer), ({ zeroShare }, unit) => 1 - zeroShare[unit]!),
};

const gradientActivation: UnitCriterion = {
  name: 'gradient-activation',
  summary: 'gradient of the logit of the class times the output',
  unit: 'logits',
  comparable: true,
  samples: 'all',
  score: (layer, { gradients }) => gradients?.['gradient-activation'].get(layer),
};

const taylor: UnitCriterion = {
  name: 'taylor',
  summary: 'gradient of the loss times the output: its change to the first order',
  unit: 'nats',
  comparable: true,
  samples: 'all',
  score: (layer, { gradients }) => gradients?.taylor.get(layer),
};

const internalInfluence: UnitCriterion = {
  name: 'internal-influence',
  summary: 'mean gradient of the logit on the way from zero to the sample',
  unit: null,
  comparable: false,
  samples: 'path',
  score: (layer, { paths }) => paths?.['internal-influence'].get(layer),
};

const conductance: UnitCriterion = {
  name: 'conductance',
  summary: 'what flows through the unit of the change of the logit from zero to the sample',
  unit: 'logits',
  comparable: true,
  samples: 'path',
  score: (layer, { paths }) => paths?.conductance.get(layer),
};

/**
 * Magnitudes of single samples, as in the scores by gradients. The mean change with its sign was
 * tried and is no ranking: units whose loss falls without them are active ones, and what each of
 * them may lose all of them may not. On the digits of the demo its deletion curves were the wrong
 * way round (area -0.40; docs/explain.md).
 */
const ablation: UnitCriterion = {
  name: 'ablation',
  summary: 'how far the loss of a sample moves when the output is its mean; exact',
  unit: 'nats',
  comparable: true,
  samples: 'all',
  score: (layer, { ablations }) => ablations?.get(layer)?.effect,
};

export const unitCriteria: readonly UnitCriterion[] = Object.freeze(
  [
    weightNorm,
    activation,
    variation,
    activity,
    gradientActivation,
    taylor,
    internalInfluence,
    conductance,
    ablation,
  ].map((each) => Object.freeze(each)),
);

/** Undefined where a score was not collected, and where it holds what is no number. */
export function scoreOf(
  criterion: UnitCriterion,
  layer: Layer,
  data: Collected,
): ArrayLike<number> | undefined {
  const scores = criterion.score(layer, data);
  return scores && areNumbers(scores) ? scores : undefined;
}

/** Names of the criteria that gave this layer something that is no number. */
export function brokenScores(layer: Layer, data: Collected): string[] {
  return unitCriteria
    .filter((criterion) => !areNumbers(criterion.score(layer, data) ?? []))
    .map(({ name }) => name);
}

function areNumbers(scores: ArrayLike<number>): boolean {
  return Array.from(scores).every(Number.isFinite);
}

function map(
  observation: LayerObservation | undefined,
  score: (observation: LayerObservation, unit: number) => number,
): Float64Array | undefined {
  return observation?.mean.map((_, unit) => score(observation, unit));
}

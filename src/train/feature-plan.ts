/**
 * Which hidden values of a student are compared with those of its teacher: of the nodes that the
 * caller chose, those whose value the teacher has too. Where a cut made one narrower, its channels
 * are compared with those of the teacher that they come from.
 * Source: Romero et al. 2014, FitNets, arXiv:1412.6550 (hints), without a regressor between widths.
 */
import type { Engine } from '../engine/engine.js';
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';
import type { LossTerm } from './append-loss.js';
import type { FinetuneOptions } from './finetune-options.js';
import type { ChosenChannels, TeacherTarget } from './loss-plan.js';
import { type ChannelMatch, matchChannels, type NarrowValue } from './match-channels.js';
import type { TrainingSamples } from './training-samples.js';

export interface FeaturePlan {
  readonly terms: readonly LossTerm[];
  readonly teacher: readonly TeacherTarget[];
  /** Names of the values that are compared. */
  readonly compared: readonly string[];
  /** Those of them that are narrower than the teacher's: their channels have to be found. */
  readonly narrow: readonly NarrowValue[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * @param student, teacher with the types of their values (see inferShapes)
 * @param patterns of nodes; each stands for its first output
 * @param weight of all features together in the sum of losses
 * @throws PareError `usage` for a pattern that matches no node, or where nothing can be compared
 */
export function planFeatures(
  student: Model,
  teacher: Model,
  patterns: readonly string[],
  weight: number,
): FeaturePlan {
  checkPatterns(patterns, student.graph.nodes, 'features');
  const isChosen = nodeMatcher(patterns);
  const compared: string[] = [];
  const narrow: NarrowValue[] = [];
  const skipped: { name: string; reason: string }[] = [];
  for (const node of student.graph.nodes) {
    const value = node.outputs[0];
    if (!value || !isChosen(node)) continue;
    const other = teacher.graph.find(value.name);
    const axis = narrowAxis(value.dims, other?.dims);
    const reason = reasonAgainst(value, other, axis);
    if (reason) skipped.push({ name: value.name, reason });
    else compared.push(value.name);
    if (!reason && axis !== undefined) narrow.push({ name: value.name, axis });
  }
  if (compared.length === 0) throw nothingToCompare(skipped);
  return {
    ...termsOf(compared, weight),
    compared,
    narrow,
    skipped,
  };
}

/** Correlation below which channels are not those that a cut left. */
const leastCorrelation = 0.3;

/**
 * The plan with the channels of the teacher that narrower values come from; what has no channels in
 * common with the teacher's is left out.
 *
 * @throws PareError `usage` where nothing is left
 */
export function withMatches(
  plan: FeaturePlan,
  matches: ReadonlyMap<string, ChannelMatch>,
  weight: number,
): FeaturePlan {
  const foreign = plan.narrow.filter(
    ({ name }) => !(matches.get(name)!.correlation > leastCorrelation),
  );
  const gone = new Set(foreign.map(({ name }) => name));
  const skipped = [
    ...plan.skipped,
    ...foreign.map(({ name }) => ({
      name,
      reason: `has no channels like the teacher's: the correlation is ${matches.get(name)!.correlation.toFixed(2)}`,
    })),
  ];
  const compared = plan.compared.filter((name) => !gone.has(name));
  if (compared.length === 0) throw nothingToCompare(skipped);
  const axes = new Map(plan.narrow.map(({ name, axis }) => [name, axis]));
  return {
    ...termsOf(compared, weight, (name) => {
      const axis = axes.get(name);
      return axis === undefined ? undefined : { axis, indices: matches.get(name)!.channels };
    }),
    compared,
    narrow: plan.narrow.filter(({ name }) => !gone.has(name)),
    skipped,
  };
}

function termsOf(
  compared: readonly string[],
  weight: number,
  channelsOf: (name: string) => ChosenChannels | undefined = () => undefined,
): Pick<FeaturePlan, 'terms' | 'teacher'> {
  const inputs = compared.map((name, at) => ({ name, input: `target/feature_${at}` }));
  return {
    terms: inputs.map(({ name, input }) => ({
      loss: 'feature-mse',
      output: name,
      target: input,
      weight: weight / inputs.length,
    })),
    teacher: inputs.map(({ name, input }) => {
      const channels = channelsOf(name);
      return { input, value: name, ...(channels && { channels }) };
    }),
  };
}

function nothingToCompare([first]: FeaturePlan['skipped']): PareError {
  return new PareError('usage', 'features: none of the chosen nodes can be compared', {
    hint: `"${first?.name}" ${first?.reason}; choose values that both models have`,
  });
}

/** The one axis along which the first is shorter, where nothing else is known to differ. */
function narrowAxis(mine?: Dims, theirs?: Dims): number | undefined {
  const differing = differingAxes(mine ?? [], theirs ?? []);
  const [axis] = differing;
  if (differing.length !== 1 || axis === 0) return undefined;
  return (mine![axis!] as number) < (theirs![axis!] as number) ? axis : undefined;
}

/** A symbol says nothing of the number: the batch has another name in the other model. */
function differingAxes(mine: Dims, theirs: Dims): number[] {
  return [...mine.keys()].filter((axis) => {
    const [own, other] = [mine[axis], theirs[axis]];
    return typeof own === 'number' && typeof other === 'number' && own !== other;
  });
}

function reasonAgainst(own: Value, other: Value | undefined, narrow?: number): string | undefined {
  if (!own.dataType || dataTypes[own.dataType].kind !== 'float') return 'holds no floats';
  if (!other?.producer) return 'is not in the teacher';
  const [mine, theirs] = [own.dims, other.dims];
  if (!mine || !theirs) return 'has dims that are not known';
  const isAlike = mine.length === theirs.length && differingAxes(mine, theirs).length === 0;
  if (isAlike || (mine.length === theirs.length && narrow !== undefined)) return undefined;
  return `is [${dimsText(mine)}], the teacher's [${dimsText(theirs)}]`;
}

type Dims = NonNullable<Value['dims']>;
const dimsText = (dims: Dims) => dims.map((dim) => dim ?? '?').join(',');

/** Names of hidden values, for a report. */
export interface ComparedFeatures {
  readonly compared: readonly string[];
  /** Those of the compared ones that are narrower than the teacher's. */
  readonly narrow: readonly string[];
  readonly skipped: FeaturePlan['skipped'];
}

export function comparedFeatures(plan?: FeaturePlan): ComparedFeatures {
  const { compared = [], narrow = [], skipped = [] } = plan ?? {};
  return { compared, narrow: narrow.map(({ name }) => name), skipped };
}

/** What channels are matched by. */
export interface MatchSource {
  readonly engine: Engine;
  readonly samples: TrainingSamples;
}

const matchingSamples = 128;

/** Hidden values to compare; undefined where none are asked for. */
export async function featuresFor(
  model: Model,
  teacher: Model | undefined,
  { features, featureWeight }: FinetuneOptions,
  { engine, samples }: MatchSource,
): Promise<FeaturePlan | undefined> {
  if (features.length === 0) return undefined;
  if (!teacher) {
    throw new PareError(
      'usage',
      'finetune: features are compared with a teacher, and none is given',
      { hint: 'give --teacher ORIGINAL' },
    );
  }
  const plan = planFeatures(model, teacher, features, featureWeight);
  if (plan.narrow.length === 0) return plan;
  const batches = await samples.spread(matchingSamples);
  const matches = await matchChannels(model, teacher, plan.narrow, batches, engine);
  return withMatches(plan, matches, featureWeight);
}

/**
 * Which hidden values of a student are compared with those of its teacher: of the nodes that the
 * caller chose, those whose value the teacher has too, with the same dims. A cut made some of them
 * narrower; those are left out, with the reason.
 * Source: Romero et al. 2014, FitNets, arXiv:1412.6550 (hints), without a regressor between widths.
 */
import { PareError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { Value } from '../graph/value.js';
import { dataTypes } from '../onnx/data-type.js';
import { checkPatterns, nodeMatcher } from '../pattern.js';
import type { LossTerm } from './append-loss.js';
import type { FinetuneOptions } from './finetune-options.js';
import type { TeacherTarget } from './loss-plan.js';

export interface FeaturePlan {
  readonly terms: readonly LossTerm[];
  readonly teacher: readonly TeacherTarget[];
  /** Names of the values that are compared. */
  readonly compared: readonly string[];
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
  const skipped: { name: string; reason: string }[] = [];
  for (const node of student.graph.nodes) {
    const value = node.outputs[0];
    if (!value || !isChosen(node)) continue;
    const reason = reasonAgainst(value, teacher.graph.find(value.name));
    if (reason) skipped.push({ name: value.name, reason });
    else compared.push(value.name);
  }
  if (compared.length === 0) {
    const [first] = skipped;
    throw new PareError('usage', 'features: none of the chosen nodes can be compared', {
      hint: `"${first?.name}" ${first?.reason}; choose values that both models have, with equal dims`,
    });
  }
  const inputs = compared.map((name, at) => ({ name, input: `target/feature_${at}` }));
  return {
    terms: inputs.map(({ name, input }) => ({
      loss: 'feature-mse',
      output: name,
      target: input,
      weight: weight / inputs.length,
    })),
    teacher: inputs.map(({ name, input }) => ({ input, value: name })),
    compared,
    skipped,
  };
}

function reasonAgainst(own: Value, other: Value | undefined): string | undefined {
  if (!own.dataType || dataTypes[own.dataType].kind !== 'float') return 'holds no floats';
  if (!other?.producer) return 'is not in the teacher';
  const [mine, theirs] = [own.dims, other.dims];
  if (!mine || !theirs) return 'has dims that are not known';
  // A symbol says nothing of the number: the batch has another name in the other model.
  const differs =
    mine.length !== theirs.length ||
    mine.some((dim, at) => {
      const given = theirs[at];
      return typeof dim === 'number' && typeof given === 'number' && dim !== given;
    });
  return differs ? `is [${dimsText(mine)}], the teacher's [${dimsText(theirs)}]` : undefined;
}

const dimsText = (dims: NonNullable<Value['dims']>) => dims.map((dim) => dim ?? '?').join(',');

/** Hidden values to compare; undefined where none are asked for. */
export function featuresFor(
  model: Model,
  teacher: Model | undefined,
  { features, featureWeight }: FinetuneOptions,
): FeaturePlan | undefined {
  if (features.length === 0) return undefined;
  if (teacher) return planFeatures(model, teacher, features, featureWeight);
  throw new PareError(
    'usage',
    'finetune: features are compared with a teacher, and none is given',
    {
      hint: 'give --teacher ORIGINAL',
    },
  );
}

/**
 * Coupling of reductions: what is summed may lose what is zero, any other statistic over a width
 * changes with a cut; choices by place (TopK, ArgMax) freeze their axis.
 * Source: the ONNX operator specification.
 */
import {
  axisOf,
  type CouplingRule,
  type CouplingRules,
  type CutScope,
  fixAll,
  type LabelScope,
} from './coupling-rule.js';
import { findRmsNorm } from './rms-norm.js';

/** Axes as an attribute or, later, an input; undefined where they are computed. */
function axesOf(scope: LabelScope): readonly number[] | undefined {
  const rank = scope.dims(0).length;
  const given = scope.node.has('axes')
    ? scope.node.ints('axes')
    : scope.has(1)
      ? scope.numbers(1)
      : [];
  if (given?.length === 0) {
    return scope.node.int('noop_with_empty_axes', 0) ? [] : [...Array(rank).keys()];
  }
  return given?.map((axis) => (axis < 0 ? axis + rank : axis));
}

function reduction(kind: 'sum' | 'mean' | 'other'): CouplingRule {
  return {
    couple(scope) {
      const axes = axesOf(scope);
      if (scope.has(1)) scope.fixInput(1, 'it names axes');
      if (!axes) return fixAll(scope, 'its axes are computed');
      const labels = scope.labels(0);
      for (const axis of axes) {
        if (kind === 'sum') scope.sums(labels[axis]!, [0], 'all');
        else scope.normalizes(0, axis, kind === 'mean' && findRmsNorm(scope.node) !== undefined);
      }
      const keeps = scope.node.int('keepdims', 1) !== 0;
      const kept = keeps ? labels : labels.filter((_, axis) => !axes.includes(axis));
      scope.set(kept.map((own, axis) => (keeps && axes.includes(axis) ? scope.fixed(1) : own)));
    },
    ...(kind !== 'other' && { zeros: { all: [0] } }),
    ...(kind === 'mean' && { rescale: rescaleRms }),
  };
}

/** See coupling-normalization.ts for the formula. */
function rescaleRms(scope: CutScope, before: number, after: number): void {
  const { epsilon, gamma } = findRmsNorm(scope.node)!;
  scope.scaleInput(epsilon.input, before / after, epsilon.node);
  scope.scaleInput(gamma.input, Math.sqrt(before / after), gamma.node);
}

/** A choice by place along one axis. */
const byPlace = (fallback: number): CouplingRule => ({
  couple(scope) {
    const labels = scope.labels(0);
    const axis = axisOf(scope, labels.length, fallback);
    scope.fix(labels[axis]!, 'places along it are counted');
    if (scope.has(1)) scope.fixInput(1, 'it says how many');
    scope.node.outputs.forEach((output, index) => {
      if (!output) return;
      const dims = scope.outDims(index);
      const same = dims.length === labels.length;
      const kept = same ? labels : labels.filter((_, each) => each !== axis);
      scope.set(
        kept.map((own, each) => (same && each === axis ? scope.fixed(dims[each]!) : own)),
        index,
      );
    });
  },
});

const sum = reduction('sum');
const other = reduction('other');

export const reductionCoupling: CouplingRules = Object.freeze({
  ReduceSum: sum,
  ReduceSumSquare: sum,
  ReduceL1: sum,
  ReduceL2: sum,
  ReduceMean: reduction('mean'),
  ReduceMax: other,
  ReduceMin: other,
  ReduceProd: other,
  ReduceLogSum: sum,
  ReduceLogSumExp: other,
  ArgMax: byPlace(0),
  ArgMin: byPlace(0),
  TopK: byPlace(-1),
});

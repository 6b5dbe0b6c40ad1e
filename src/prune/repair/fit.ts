/**
 * Fits one layer to what it should give, from its moments: weights by ridge least squares, then a
 * scale per output that brings its spread back, then the bias that brings its mean back. Pure
 * functions of numbers.
 */
import type { GroupMoments } from './moments.js';
import { solveRidge } from './solve.js';

export interface FitOptions {
  /** Weights by least squares. */
  readonly refit: boolean;
  /** Mean and spread of every output. */
  readonly statistics: boolean;
  readonly ridge: number;
}

export interface GroupFit {
  /** [outputs, features] */
  readonly weights: Float64Array;
  /** [outputs] */
  readonly bias: Float64Array;
  /** Sums over the outputs of E[(y - y')^2] before and after, and of the variance of y. */
  readonly errorBefore: number;
  readonly errorAfter: number;
  readonly spread: number;
}

/** A scale beyond this is the sign of a dead output and not of a shrunken one. */
const mostScale = 4;

/**
 * @param prior the weights that are there: [outputs, features]
 * @param priorBias their bias, [outputs]
 */
export function fitGroup(
  moments: GroupMoments,
  prior: Float64Array,
  priorBias: Float64Array,
  { refit, statistics, ridge }: FitOptions,
): GroupFit {
  const { inputs, cross, targets, inputMeans, targetMeans } = moments;
  const features = inputMeans.length;
  const outputs = targetMeans.length;
  const weights = refit
    ? solveRidge({ moments: inputs, cross, prior, features, ridge })
    : Float64Array.from(prior);
  const bias = Float64Array.from(priorBias);
  let [errorBefore, errorAfter, spread] = [0, 0, 0];
  for (let output = 0; output < outputs; output++) {
    const start = output * features;
    const own = weights.subarray(start, start + features);
    const before = prior.subarray(start, start + features);
    if (statistics) {
      const has = quadratic(inputs, own);
      const scale = Math.sqrt(targets[output]! / has);
      if (has > 0 && scale < mostScale && scale > 1 / mostScale) {
        for (let i = 0; i < features; i++) own[i]! *= scale;
      }
    }
    const means = (row: Float64Array) => inputMeans.reduce((sum, x, i) => sum + x * row[i]!, 0);
    bias[output] = targetMeans[output]! - means(own);
    const shift = targetMeans[output]! - means(before) - priorBias[output]!;
    errorBefore += errorOf(moments, before, output) + shift ** 2;
    errorAfter += errorOf(moments, own, output);
    spread += targets[output]!;
  }
  return { weights, bias, errorBefore, errorAfter, spread };
}

/** w' Sxx w */
function quadratic(matrix: Float64Array, row: Float64Array): number {
  const size = row.length;
  let sum = 0;
  for (let i = 0; i < size; i++) {
    let inner = 0;
    for (let j = 0; j < size; j++) inner += matrix[i * size + j]! * row[j]!;
    sum += row[i]! * inner;
  }
  return sum;
}

/** Syy - 2 w' Sxy + w' Sxx w; rounding can take it just below zero. */
function errorOf({ inputs, cross, targets }: GroupMoments, row: Float64Array, output: number) {
  const features = row.length;
  const product = row.reduce((sum, w, i) => sum + w * cross[output * features + i]!, 0);
  return Math.max(0, targets[output]! - 2 * product + quadratic(inputs, row));
}

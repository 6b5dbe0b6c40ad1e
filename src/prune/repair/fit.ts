/**
 * Fits one layer to what it should give, from its moments: weights by ridge least squares, then a
 * scale per output that brings its spread back, then the bias that brings its mean back. Pure
 * functions of numbers.
 */
import type { GroupMoments } from './moments.js';
import { dot, productsOf, type RidgeSolution, solveRidge } from './solve.js';

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
  const { weights, products, priorProducts } = refit
    ? solveRidge({ moments: inputs, cross, prior, features, ridge })
    : kept(inputs, prior, features);
  const bias = Float64Array.from(priorBias);
  let [errorBefore, errorAfter, spread] = [0, 0, 0];
  for (let output = 0; output < outputs; output++) {
    const start = output * features;
    const own = weights.subarray(start, start + features);
    const before = prior.subarray(start, start + features);
    // w' Sxx w and w' Sxy
    const power = dot(own, 0, products, start, features);
    const aligned = dot(own, 0, cross, start, features);
    let scale = 1;
    if (statistics) {
      const wanted = Math.sqrt(targets[output]! / power);
      if (power > 0 && wanted < mostScale && wanted > 1 / mostScale) scale = wanted;
      if (scale !== 1) for (let i = 0; i < features; i++) own[i]! *= scale;
    }
    bias[output] = targetMeans[output]! - dot(own, 0, inputMeans, 0, features);
    const shift =
      targetMeans[output]! - dot(before, 0, inputMeans, 0, features) - priorBias[output]!;
    const crossed = dot(before, 0, cross, start, features);
    const square = dot(before, 0, priorProducts, start, features);
    errorBefore += errorOf(targets[output]!, crossed, square) + shift ** 2;
    errorAfter += errorOf(targets[output]!, scale * aligned, scale ** 2 * power);
    spread += targets[output]!;
  }
  return { weights, bias, errorBefore, errorAfter, spread };
}

/** Syy - 2 w' Sxy + w' Sxx w; rounding can take it just below zero. */
function errorOf(target: number, crossed: number, square: number): number {
  return Math.max(0, target - 2 * crossed + square);
}

/** The weights as they are, in the form of a solution. */
function kept(inputs: Float64Array, prior: Float64Array, features: number): RidgeSolution {
  const products = productsOf(inputs, prior, features);
  return { weights: Float64Array.from(prior), products, priorProducts: products };
}

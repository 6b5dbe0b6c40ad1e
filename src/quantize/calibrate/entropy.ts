/**
 * The range that loses least information: the distribution of the values clipped to the range
 * against what is left of it after merging into as many bins as there are levels, by
 * Kullback-Leibler divergence.
 *
 * Source: S. Migacz, "8-bit Inference with TensorRT" (2017), with 2,048 bins of |x| and 128 levels,
 * from 128 bins up. Three things are settled here that the slides leave open:
 * - What is exactly zero is left out. Zero is representable in every range, and the peak that ReLU
 *   leaves would weigh for nothing but where the first level ends.
 * - A merged level gives back its mass to the bins it was made of that hold anything; what was
 *   clipped is in the last bin of the reference only, so that it costs.
 * - Bins without a counterpart count with a small share, the same for every candidate, and both
 *   sides sum to one.
 * Candidates of 256 levels, as two bytes' worth of one-sided integers would have it, are compared
 * at 128: with finer levels next to nothing is lost by merging, and clipping always looks bad.
 */
import type { Calibrator } from './calibrators.js';
import type { Histogram } from './statistics.js';

const bins = 2048;
const merged = 128;

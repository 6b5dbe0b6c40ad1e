/**
 * The names of the rewrites, for help: index.ts, which holds the rewrites, loads far more. A test
 * keeps this list equal to that one.
 */

/** In the order of a round, as in `simplifications`. */
export const rewriteNames = Object.freeze([
  'drop-weight-inputs',
  'constants-to-initializers',
  'remove-identity',
  'remove-dropout',
  'remove-unused',
  'merge-initializers',
  'fold-shape',
  'fold-constants',
  'remove-cast',
  'remove-reshape',
  'remove-transpose',
  'remove-slice',
  'remove-single-input',
  'remove-pad',
  'remove-expand',
  'remove-arithmetic',
  'merge-views',
  'merge-duplicates',
  'fold-affine',
  'fold-batch-norm',
  'flush-subnormals',
  'unshare-initializers',
] as const);

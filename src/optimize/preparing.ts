/** Steps that many recipes begin with, and that come before numbers are stored in another way. */

/** By the name of the pass. */
export const preparingPasses: ReadonlySet<string> = new Set([
  'simplify',
  'prune-structured',
  'finetune',
]);

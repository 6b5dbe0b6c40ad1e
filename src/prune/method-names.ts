/** The names of all methods, by themselves: the command line's help loads them. */
export const pruneMethodNames = Object.freeze(['unstructured', 'structured', 'depth'] as const);

export type PruneMethodName = (typeof pruneMethodNames)[number];

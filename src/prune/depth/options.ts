/** Options of depth pruning, with zod alone: the command line's help loads them. */
import * as z from 'zod/mini';

export const depthCriterionNames = Object.freeze(['influence', 'removal'] as const);

export const depthOptions = z.object({
  /** Share of the units that leave, rounded to whole ones. */
  ratio: z.optional(z.number().check(z.gt(0), z.lt(1))),
  /** How many units leave, in place of a share. */
  blocks: z.optional(z.int().check(z.gte(1))),
  criterion: z._default(z.enum(depthCriterionNames), 'influence'),
  /** Layers of several branches where they repeat, or every branch by itself. */
  unit: z._default(z.enum(['layer', 'branch']), 'layer'),
  /** A unit stays where a pattern of `exclude` matches one of its nodes, or none of `include` does. */
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
});

export type DepthOptions = z.output<typeof depthOptions>;

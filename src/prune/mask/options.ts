/** Options of masks, with zod alone: the command line's help loads them. */
import * as z from 'zod/mini';

export const maskCriterionNames = Object.freeze([
  'magnitude',
  'wanda',
  'sparsegpt',
  'random',
] as const);

export const maskScopes = Object.freeze(['global', 'layer', 'row'] as const);

export const unstructuredOptions = z.object({
  /** Share of the entries of masked weights that are zero afterwards. N:M has its own. */
  sparsity: z.optional(z.number().check(z.gt(0), z.lt(1))),
  /** 'unstructured', N:M such as '2:4', or blocks of rows x columns such as '4x1'. */
  pattern: z._default(z.string(), 'unstructured'),
  criterion: z._default(z.enum(maskCriterionNames), 'magnitude'),
  /** What scores are compared over; default that of the criterion. */
  scope: z.optional(z.enum(maskScopes)),
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** sparsegpt: share of the mean of the diagonal that is added to it. */
  damping: z._default(z.number().check(z.gt(0)), 0.01),
  /** sparsegpt: layers with more inputs per output than this stay as they are. */
  maxFeatures: z._default(z.int().check(z.gte(1)), 8192),
  /** Whether each layer is looked at behind the masks of those before it. */
  recompute: z._default(z.boolean(), true),
});

export type UnstructuredOptions = z.output<typeof unstructuredOptions>;

/** Options of gradual pruning, with zod alone: the command line's help loads them. */
import * as z from 'zod/mini';

export const gradualOptions = z.object({
  /** Share of the weights that are zero in the end, reached exactly. Default: none leave. */
  sparsity: z.optional(z.number().check(z.gt(0), z.lt(1))),
  /**
   * What is small: the weight itself, or what the loss gains without it, w^2 E[g^2] / 2, from the
   * gradients that the optimizer keeps. Default `magnitude` with sgd and `hessian` with the others.
   */
  sparsityCriterion: z.optional(z.enum(['magnitude', 'hessian'])),
  /** What is compared: all layers, or each within itself. */
  sparsityScope: z._default(z.enum(['global', 'layer']), 'global'),
  /** Share of all steps after which the last ones leave; the others train what stays. */
  sparsityUntil: z._default(z.number().check(z.gt(0), z.lt(1)), 0.5),
  /** Nodes whose weights keep all their entries. */
  dense: z._default(z.array(z.string()), () => []),
});

export type GradualOptions = z.output<typeof gradualOptions>;

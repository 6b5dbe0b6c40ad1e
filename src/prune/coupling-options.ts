/** Options of the coupling analysis: what is a user's choice and not a fact of the model. */
import * as z from 'zod/mini';

export const couplingOptions = z.object({
  /**
   * What leaves where attention splits a width into heads: whole heads, the same places of all
   * heads, or (auto) heads for attention and channels for channel shuffles.
   */
  split: z._default(z.enum(['auto', 'heads', 'head-dim']), 'auto'),
  /**
   * Widths that are averaged or normalized over, so that a cut changes more than what is cut:
   * none of them, those that a rescale makes exact (RMSNorm), or all.
   */
  norms: z._default(z.enum(['none', 'exact', 'all']), 'none'),
  /** Sizes of open dims by their name, or all dims of an input by the name of the input. */
  dims: z.optional(z.record(z.string(), z.union([z.number(), z.array(z.number())]))),
});

export type CouplingOptions = z.input<typeof couplingOptions>;

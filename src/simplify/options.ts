/** Options of simplify, checked against the names of its rewrites. */
import * as z from 'zod/mini';

export const simplifyOptions = z.object({
  /** Names of the rewrites to apply; default all but unshare-initializers. */
  include: z.optional(z.array(z.string())),
  /** Names of rewrites to leave out. */
  exclude: z._default(z.array(z.string()), () => []),
  /**
   * A folded constant may have this many bytes, or as many as the largest constant that it
   * replaces. Default 1 MiB.
   */
  foldLimitBytes: z._default(z.number().check(z.nonnegative()), 1 << 20),
  /** Give each user of an initializer its own copy, instead of merging equal ones. */
  unshare: z._default(z.boolean(), false),
});

export type SimplifyOptions = z.input<typeof simplifyOptions>;

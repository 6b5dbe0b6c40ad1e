/** Options of structured pruning, checked before anything runs. */
import * as z from 'zod/mini';
import { PareError } from '../errors.js';
import { couplingOptions } from './coupling-options.js';
import { criterionNames } from './criteria/index.js';
import { type Normalizer, normalizerNames, type Reduction, reductionNames } from './scores.js';
import { type Scope, scopeNames } from './select/moves.js';
import type { PruneTarget } from './select/select.js';

const share = z.number().check(z.gt(0), z.lt(1));

export const structuredOptions = z.object({
  /** Share of MACs to remove, in (0, 1). Exactly one of macs, params, ratio and sizeBytes. */
  macs: z.optional(share),
  /** Share of the parameters to remove. */
  params: z.optional(share),
  /** Share of the units (channels, heads) to remove. */
  ratio: z.optional(share),
  /** Largest size of the file. */
  sizeBytes: z.optional(z.number().check(z.gt(0))),
  /**
   * Goes on with the last cut: shares, alignments and `largestShare` count from what the model was
   * before it, as its metadata tell. Not for `ratio`.
   */
  continued: z._default(z.boolean(), false),
  /** Default: wanda where there are samples, lamp where there are none. */
  criterion: z.optional(z.enum(criterionNames)),
  /** How scores of the weights of a unit become one. */
  reduction: z._default(z.enum(reductionNames as [Reduction, ...Reduction[]]), 'mean'),
  /** How scores of different widths are made to compare. */
  normalizer: z._default(z.enum(normalizerNames as [Normalizer, ...Normalizer[]]), 'mean'),
  /** Which units compete: those of one width, all, all per MAC, or those of alike widths. */
  scope: z._default(z.enum(scopeNames as [Scope, ...Scope[]]), 'global'),
  /** Largest share of one width that may leave. */
  largestShare: z._default(z.number().check(z.gt(0), z.lte(1)), 0.8),
  /** Channels are kept in multiples of it; default what the runtime is fast at. */
  align: z.optional(z.int().check(z.gte(1))),
  /** Nodes whose weights keep their shape: names, wildcards, op:Type. */
  exclude: z._default(z.array(z.string()), () => []),
  ...couplingOptions.shape,
  /** Run the cut model against the one with its units set to zero: they must agree. */
  proof: z._default(z.boolean(), true),
  /** Layers behind the cut by least squares; needs samples. */
  refit: z._default(z.boolean(), true),
  /** Mean and spread of what layers give; needs samples. */
  statistics: z._default(z.boolean(), true),
  /** Weight of the penalty of the refit, against the mean square of what a layer reads. */
  ridge: z._default(z.number().check(z.gt(0)), 0.1),
  /** Layers with more inputs per output than this are not refitted. */
  maxFeatures: z._default(z.int().check(z.gte(1)), 2304),
});

export type StructuredOptions = z.output<typeof structuredOptions>;

/** The one target that was given; throws `usage` for none or several. */
export function targetOf(options: StructuredOptions): PruneTarget {
  const { macs, params, ratio, sizeBytes } = options;
  const targets: PruneTarget[] = [];
  if (macs !== undefined) targets.push({ kind: 'macs', share: macs });
  if (params !== undefined) targets.push({ kind: 'parameters', share: params });
  if (ratio !== undefined) targets.push({ kind: 'ratio', share: ratio });
  if (sizeBytes !== undefined) targets.push({ kind: 'size', bytes: sizeBytes });
  const [target] = targets;
  if (options.continued && ratio !== undefined) {
    throw new PareError('usage', 'structured: a cut by ratio cannot be continued', {
      hint: 'units that have left are ranked no more: give macs, params or sizeBytes',
    });
  }
  if (target && targets.length === 1) return target;
  throw new PareError(
    'usage',
    `structured: ${targets.length === 0 ? 'there is no target' : 'there are several targets'}`,
    { hint: 'give one of macs, params, ratio (shares to remove) and sizeBytes' },
  );
}

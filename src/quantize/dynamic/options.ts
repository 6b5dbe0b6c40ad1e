/**
 * Options of the dynamic scheme, and what its rewrites say about weights.
 */
import * as z from 'zod/mini';
import type { FoundWeight } from '../find-weight.js';

export const dynamicOptions = z.object({
  /** Only nodes that match: names, wildcards, op:Type. Default all. */
  include: z._default(z.array(z.string()), []),
  exclude: z._default(z.array(z.string()), []),
  /** One scale per output channel instead of one per tensor: as fast, more accurate. */
  perChannel: z._default(z.boolean(), true),
  /** Weights in 7 bits, for x64 CPUs without VNNI, whose 16-bit sums saturate. */
  reduceRange: z._default(z.boolean(), false),
  /** Smaller weights stay float: quantizing the activation would cost more than it saves. */
  minElements: z._default(z.number().check(z.minimum(0)), 256),
  /** Convolutions as ConvInteger: pays for dense ones on WASM, rarely on x64; never for depthwise. */
  conv: z._default(z.boolean(), false),
  /** Embedding tables as int8 rows, dequantized after the Gather. */
  embeddings: z._default(z.boolean(), true),
});

export type DynamicOptions = z.output<typeof dynamicOptions>;

export function describeWeight(
  weight: FoundWeight,
  options: { readonly perChannel: boolean },
  dataType = 'int8',
): string {
  return `${dataType} weight [${weight.dims.join(',')}] per ${options.perChannel ? 'channel' : 'tensor'}`;
}
